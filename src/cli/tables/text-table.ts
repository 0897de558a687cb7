/** Formats tables for a terminal. Each column is as wide as its widest cell. */

/** Columns whose header begins with a dash contain text and are left-aligned; the others are right-aligned. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const names = header.map((name) => name.replace(/^-/, ''));
  const widths = names.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) =>
        header[i]?.startsWith('-') ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [names, ...rows].map(line);
}
