/** The buttons that stop a live run or ask for a checkpoint. They work for a user who has opened the address with the token. */

import { controlHeader } from '../../shared/http/control-header.js';
import { byId, setText } from './dom.js';

/** @param control what this user may do: `none` if there is no live run, `token` if the token is missing */
export function connectRunControls(control: 'none' | 'token' | 'permitted'): void {
  byId('controls-hint').hidden = control !== 'token';
  byId('run-controls').hidden = control !== 'permitted';
  if (control !== 'permitted') return;
  byId('write-checkpoint').addEventListener('click', () => {
    void request('checkpoint', 'A checkpoint is requested. The list of events shows it when it is written.');
  });
  const dialog = byId<HTMLDialogElement>('stop-dialog');
  byId('stop').addEventListener('click', () => dialog.showModal());
  dialog.addEventListener('close', () => {
    if (dialog.returnValue !== 'stop') return;
    void request('stop', 'The run writes a checkpoint and stops.');
  });
}

/** Hides the buttons at the end of the run. */
export function endRunControls(): void {
  byId('run-controls').hidden = true;
  byId('controls-hint').hidden = true;
  setText(byId('controls-text'), '');
}

async function request(name: 'stop' | 'checkpoint', done: string): Promise<void> {
  const say = (text: string): void => setText(byId('controls-text'), text);
  try {
    const response = await fetch(`/api/control/${name}`, {
      method: 'POST',
      headers: { [controlHeader]: '1' },
    });
    say(response.ok ? done : await response.text());
  } catch {
    say('The server does not answer.');
  }
}
