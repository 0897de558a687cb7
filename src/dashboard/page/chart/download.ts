/** Files that the page offers for download: the values of a chart as CSV, and its picture as PNG. */

import UPlot from 'uplot';
import { colour } from '../dom.js';
import { dashes, type Line } from './line.js';

export type CsvCell = string | number | null;

/** Rows by RFC 4180. Missing values are empty. */
export function csvOf(rows: readonly (readonly CsvCell[])[]): string {
  const cell = (value: CsvCell): string => {
    const text = value === null ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** One row per position, one column per line; a smoothed line has a second column with the values that were smoothed. */
export function csvOfLines(lines: readonly Line[], xLabel: string): string {
  const columns = lines.flatMap(({ name, x, y, raw }) =>
    raw
      ? [
          { name: `${name}, smoothed`, x, y },
          { name, x, y: raw },
        ]
      : [{ name, x, y }],
  );
  const [x, ...values] = UPlot.join(columns.map((column) => [[...column.x], [...column.y]]));
  const rows = [...x].map((at, i) => [at, ...values.map((column) => column[i] ?? null)]);
  return csvOf([[xLabel.toLowerCase(), ...columns.map(({ name }) => name)], ...rows]);
}

/** Offers a file to the user. */
export function save(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name.replaceAll(/[^\w.-]+/g, '-');
  link.click();
  // The browser reads the content after this call.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const [titleHeight, rowHeight, margin] = [34, 22, 12];
const font = (size: number): string => `${size}px system-ui, sans-serif`;

/** The plot with its title and legend. */
export async function pngOf(plot: HTMLCanvasElement, title: string, lines: readonly Line[]): Promise<Blob> {
  const ratio = devicePixelRatio;
  const width = plot.width / ratio + 2 * margin;
  const picture = document.createElement('canvas');
  const pen = picture.getContext('2d');
  if (!pen) throw new Error('This browser has no canvas.');
  pen.font = font(13);
  const items = legendItems(lines, width, (text) => pen.measureText(text).width);
  const rows = (items.at(-1)?.row ?? 0) + 1;
  picture.width = Math.round(width * ratio);
  picture.height = Math.round(plot.height + (titleHeight + rows * rowHeight + margin) * ratio);
  pen.scale(ratio, ratio);
  pen.fillStyle = colour('card');
  pen.fillRect(0, 0, width, picture.height / ratio);
  pen.fillStyle = colour('ink');
  pen.font = `600 ${font(15)}`;
  pen.textBaseline = 'middle';
  pen.fillText(title, margin, titleHeight / 2 + 2);
  pen.drawImage(plot, margin, titleHeight, plot.width / ratio, plot.height / ratio);
  pen.font = font(13);
  pen.lineWidth = 2;
  for (const { line, left, row } of items) {
    const y = titleHeight + plot.height / ratio + (row + 0.5) * rowHeight;
    pen.strokeStyle = colour(line.colour);
    pen.setLineDash([...dashes[line.pattern]]);
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(left + 26, y);
    pen.stroke();
    pen.fillText(line.name, left + 32, y);
  }
  return new Promise((resolve, reject) => {
    picture.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The picture is too large.'))));
  });
}

interface LegendItem {
  readonly line: Line;
  readonly left: number;
  readonly row: number;
}

/** Sets the items in rows that are not wider than the picture. */
function legendItems(lines: readonly Line[], width: number, widthOf: (text: string) => number): LegendItem[] {
  let [left, row] = [margin, 0];
  return lines.map((line) => {
    const size = 32 + widthOf(line.name) + 18;
    if (left > margin && left + size > width) [left, row] = [margin, row + 1];
    const item = { line, left, row };
    left += size;
    return item;
  });
}
