/** Draws the confusion matrix as a self-contained SVG. The same counts give the same file. */

import { shownName, type Confusion } from '../../shared/evaluation/confusion.js';
import { colourAt, inkOn, scalePosition } from './colour-scale.js';
import { element, textElement } from './svg.js';

/** Maximum number of classes of a picture; more of them would not be readable. */
export const mostPictured = 200;

export interface ConfusionTitle {
  readonly run: string;
  readonly split: 'test' | 'train';
}

const ink = '#1f2933';
const faint = '#52606d';
const grid = '#d5dbe1';
const margin = 24;
/** Width of a digit or an average letter at font size 1, in the widest of the common sans-serif fonts. */
const characterWidth = 0.64;

/** Returns an upper bound of the width in pixels. Characters of CJK scripts are as wide as they are high. */
function textWidth(text: string, size: number): number {
  let width = 0;
  for (const character of text) width += (character.codePointAt(0) ?? 0) < 0x1100 ? characterWidth : 1.05;
  return width * size;
}
const percent = (part: number, digits: number): string => `${(part * 100).toFixed(digits)} %`;

interface Geometry {
  readonly confusion: Confusion;
  readonly names: readonly string[];
  /** Side of a cell, in pixels. */
  readonly cell: number;
  /** Font size of the names, in pixels. */
  readonly font: number;
  /** Position of the matrix's top left corner, in pixels. */
  readonly left: number;
  readonly top: number;
  /** Side of the matrix, in pixels. */
  readonly side: number;
  /** True if the names below the matrix are rotated. */
  readonly turned: boolean;
  /** Height of the names below the matrix, in pixels. */
  readonly below: number;
}

export function confusionSvg(confusion: Confusion, { run, split }: ConfusionTitle): string {
  const geometry = geometryOf(confusion);
  const { count, correct } = confusion;
  const title = shownName(run, 60);
  const result = count === 0 ? 'no samples' : `accuracy ${percent(correct / count, 2)}`;
  const summary = `${split} set, ${result} (${correct} of ${count})`;
  const width = Math.max(
    geometry.left + geometry.side + 96,
    margin * 2 + Math.max(textWidth(title, 18), textWidth(summary, 13), 420),
  );
  const height = geometry.top + geometry.side + geometry.below + 112;
  const body = [
    textElement('title', {}, `Confusion matrix of ${title}: ${summary}`),
    scale,
    element('rect', { width, height, fill: '#ffffff' }),
    textElement(
      'text',
      { x: margin, y: 38, 'font-size': 18, 'font-weight': 'bold' },
      title === '' ? 'Confusion matrix' : title,
    ),
    textElement('text', { x: margin, y: 60, 'font-size': 13, fill: faint }, summary),
    ...cellsOf(geometry),
    ...labelsOf(geometry),
    ...legendOf(geometry),
  ];
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`,
    width: Math.ceil(width),
    height: Math.ceil(height),
    role: 'img',
    'font-family': "system-ui, 'DejaVu Sans', Arial, sans-serif",
    fill: ink,
  };
  return `${element(
    'svg',
    attributes,
    body.map((line) => `\n${line}`),
  )}\n`;
}

function geometryOf(confusion: Confusion): Geometry {
  const classes = confusion.classes.length;
  const names = confusion.classes.map((name) => shownName(name, 24));
  const cell = classes <= 12 ? 48 : classes <= 20 ? 40 : classes <= 40 ? 26 : classes <= 100 ? 13 : 8;
  const font = Math.min(13, cell - 1);
  const longest = Math.max(...names.map((name) => textWidth(name, font)));
  const turned = longest > cell - 2;
  return {
    confusion,
    names,
    cell,
    font,
    turned,
    side: cell * classes,
    left: margin + 24 + longest + 8,
    top: 100,
    below: (turned ? longest : font) + 10,
  };
}

/** Returns the coloured cells with their counts, and the grid over them. */
function cellsOf({ confusion, cell, left, top, side }: Geometry): string[] {
  const { classes, cells, perClass } = confusion;
  const most = Math.max(1, ...cells.map(({ count }) => String(count).length));
  const size = Math.min(14, (cell - 4) / (most * characterWidth));
  const drawn = cells.map(({ label, predicted, count }) => {
    const share = count / (perClass[label]?.count ?? count);
    const position = scalePosition(share);
    const [x, y] = [left + predicted * cell, top + label * cell];
    const [truth, answer] = [classes[label] ?? '', classes[predicted] ?? ''].map((name) =>
      shownName(name, 60),
    );
    const tooltip = `true ${truth}, predicted ${answer}: ${count} (${percent(share, 1)})`;
    const number = {
      x: x + cell / 2,
      y: y + cell / 2 + size * 0.36,
      fill: inkOn(position),
      'font-size': size,
      'text-anchor': 'middle',
    };
    return element('g', {}, [
      textElement('title', {}, tooltip),
      element('rect', { x, y, width: cell, height: cell, fill: colourAt(position) }),
      ...(size >= 6 ? [textElement('text', number, String(count))] : []),
    ]);
  });
  const lines = cell < 12 ? [0, classes.length] : [...Array(classes.length + 1).keys()];
  const across = lines.map((i) => `M${left} ${top + i * cell}h${side}M${left + i * cell} ${top}v${side}`);
  return [...drawn, element('path', { d: across.join(''), stroke: grid, fill: 'none' })];
}

/** Returns the names at both axes, the titles of the axes, and the accuracy of each class at the right. */
function labelsOf({ confusion, names, cell, font, left, top, side, turned, below }: Geometry): string[] {
  const middle = (at: number): number => at * cell + cell / 2;
  const right = left + side + 14;
  const anchor = (where: 'middle' | 'end'): { 'text-anchor': string; 'font-size': number } => ({
    'text-anchor': where,
    'font-size': font,
  });
  const rows = names.map((name, at) =>
    textElement('text', { x: left - 8, y: top + middle(at) + font * 0.36, ...anchor('end') }, name),
  );
  const columns = names.map((name, at) => {
    const [x, y] = [left + middle(at), top + side + 6];
    if (!turned) return textElement('text', { x, y: y + font, ...anchor('middle') }, name);
    const rotated = { x: x + font * 0.36, y, transform: `rotate(-90 ${x + font * 0.36} ${y})` };
    return textElement('text', { ...rotated, ...anchor('end') }, name);
  });
  const accuracies = confusion.perClass.map(({ accuracy }, at) =>
    textElement(
      'text',
      { x: right, y: top + middle(at) + font * 0.36, 'font-size': font },
      accuracy === null ? '–' : percent(accuracy, 1),
    ),
  );
  const axis = { 'font-size': 13, 'font-weight': 'bold', 'text-anchor': 'middle' };
  const [x, y] = [margin + 8, top + side / 2];
  return [
    ...rows,
    ...columns,
    ...accuracies,
    textElement('text', { x, y, transform: `rotate(-90 ${x} ${y})`, ...axis }, 'true'),
    textElement('text', { x: left + side / 2, y: top + side + below + 18, ...axis }, 'predicted'),
    textElement('text', { x: right, y: top - 10, 'font-size': 13, 'font-weight': 'bold' }, 'accuracy'),
  ];
}

const scaleSteps = [...Array(17).keys()].map((i) => i / 16);
const scale = element('defs', {}, [
  element(
    'linearGradient',
    { id: 'scale' },
    scaleSteps.map((offset) => element('stop', { offset, 'stop-color': colourAt(offset) })),
  ),
]);

/** Returns the legend of the colours. */
function legendOf({ top, side, below }: Geometry): string[] {
  const [x, y, width] = [margin, top + side + below + 58, 300];
  const small = { 'font-size': 11, fill: faint };
  const ticks = [0, 0.01, 0.1, 0.25, 0.5, 1].map((share) =>
    textElement(
      'text',
      {
        x: x + scalePosition(share) * width,
        y: y + 28,
        'text-anchor': share === 0 ? 'start' : 'middle',
        ...small,
      },
      String(share * 100),
    ),
  );
  const marks = [0, 0.01, 0.1, 0.25, 0.5, 1].map(
    (share) => `M${x + scalePosition(share) * width} ${y + 12}v4`,
  );
  return [
    textElement('text', { x, y: y - 7, ...small }, 'Colour: share of the samples of the true class, %'),
    element('rect', { x, y, width, height: 12, fill: 'url(#scale)', stroke: grid }),
    element('path', { d: marks.join(''), stroke: faint, fill: 'none' }),
    ...ticks,
  ];
}
