/** The end of a run that did not finish: its error, above everything else. */

import { byId, setText } from './dom.js';
import { integer } from './format.js';
import type { RunData } from './run-data.js';

export function showFailure({ state }: RunData): void {
  const end = state?.end;
  const panel = byId('failure');
  panel.hidden = end?.event !== 'error';
  if (end?.event !== 'error') return;
  const interrupted = end.code === 'INTERRUPTED';
  panel.dataset['kind'] = interrupted ? '' : 'bad';
  const step = state?.step?.step;
  const when = step === undefined ? 'before the first step' : `after step ${integer(step)}`;
  setText(byId('failure-title'), interrupted ? `Interrupted ${when}` : `Failed ${when}: ${end.code}`);
  setText(byId('failure-message'), end.message);
}
