/** The controls above the charts: the x axis, the smoothing and the loss axis. */

import { axisNames, maxSmoothing, type Address } from './address.js';
import type { Charts } from './charts.js';
import { byId, setText } from './dom.js';

/** @param draw shows the charts with the new settings */
export function connectControls(address: Address, charts: Charts, draw: () => void): void {
  const { settings } = address;
  const x = byId<HTMLSelectElement>('x-axis');
  x.value = settings.x;
  x.addEventListener('change', () => {
    address.change({ x: axisNames.find((name) => name === x.value) ?? 'step' });
    draw();
  });
  const smoothing = byId<HTMLInputElement>('smoothing');
  smoothing.max = String(maxSmoothing);
  smoothing.value = String(settings.smoothing);
  const say = (): void => setText(byId('smoothing-text'), String(Number(smoothing.value)));
  say();
  smoothing.addEventListener('input', () => {
    address.change({ smoothing: Number(smoothing.value) });
    say();
    draw();
  });
  const log = byId<HTMLInputElement>('log-scale');
  log.checked = settings.log;
  log.addEventListener('change', () => {
    address.change({ log: log.checked });
    charts.log = log.checked;
  });
}
