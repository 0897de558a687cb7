/** Formats numbers and times. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const integer = (value: number): string => whole.format(value);

/** Formats with four significant digits. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (value !== 0 && Math.abs(value) < 1e-5) return value.toExponential(2);
  return Math.abs(value) >= 1000 ? integer(value) : String(Number(value.toPrecision(4)));
}

export const percent = (share: number | null | undefined): string =>
  share === null || share === undefined ? '–' : `${(share * 100).toFixed(2)} %`;

/** Converts `meanAbsoluteError` to words. */
export function metricTitle(name: string): string {
  const words = name.replace(
    /([a-z])([A-Z])/g,
    (_, end: string, start: string) => `${end} ${start.toLowerCase()}`,
  );
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const isShare = (name: string): boolean => name === 'accuracy' || /^top\d+$/.test(name);

/** Returns the format of a metric: shares are shown in percent. */
export const metricFigure = (name: string): typeof figure => (isShare(name) ? percent : figure);

/** Returns the limits of a metric's values; undefined if it has none. */
export const metricBounds = (name: string): { readonly min: number; readonly max: number } | undefined =>
  isShare(name) ? { min: 0, max: 1 } : undefined;

/** Formats seconds as `41 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const rounded = Math.max(0, Math.round(seconds));
  if (rounded < 60) return `${rounded} s`;
  const minutes = Math.floor(rounded / 60);
  return minutes < 60
    ? `${minutes} min ${rounded % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const clock = (timeMs: number): string =>
  timeMs > 0 ? new Date(timeMs).toLocaleTimeString('en-GB') : '–';

export const day = (timeMs: number): string =>
  timeMs > 0 ? new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ') : '–';

/** Formats seconds as `0:41`, `3:20` or `2:05:00`. */
export function clockTime(seconds: number): string {
  const rounded = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rounded % 60)}` : `${minutes}:${two(rounded % 60)}`;
}

/** Formats a number of bytes as `640 MB` or `1.2 GB`. */
export const bytes = (count: number): string =>
  count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
