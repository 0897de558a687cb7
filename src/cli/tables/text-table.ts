/** Columns of text for a terminal: as wide as their widest cell, numbers to the right. */

/** Columns whose header begins with a dash hold text and stand to the left; the others stand to the right. */
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
