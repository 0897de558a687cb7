/** Small helpers for the page's elements. */

type Child = Node | string;

/** Makes an element with attributes and children. Strings become text, never markup. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const svgNamespace = 'http://www.w3.org/2000/svg';

export function svg(
  name: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: Child[]
): SVGElement {
  const element = document.createElementNS(svgNamespace, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Returns an element of index.html. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id}`);
  return element as T;
}

/** Sets the text if it differs, so that a screen reader does not repeat it. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes a table's head and body. Columns whose name begins with a dash hold text, the others numbers. */
export function tableRows(header: readonly string[], rows: readonly (readonly Child[])[]): HTMLElement[] {
  const kinds = header.map((name): Record<string, string> => (name.startsWith('-') ? { class: 'text' } : {}));
  const names = header.map((name, i) => h('th', { scope: 'col', ...kinds[i] }, name.replace(/^-/, '')));
  const head = h('thead', {}, h('tr', {}, ...names));
  const body = rows.map((cells) => h('tr', {}, ...cells.map((cell, i) => h('td', kinds[i], cell))));
  return [head, h('tbody', {}, ...body)];
}

/** Returns a colour of the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
