/** The run's name, its progress, and its latest figures. */

import { byId, h, setText } from './dom.js';
import { duration, figure, integer, metricFigure, metricTitle, percent } from './format.js';
import type { RunData } from './run-data.js';

const phases: Readonly<Record<string, string>> = {
  gathering: 'Waiting for workers',
  connecting: 'Workers are connecting',
  running: 'Training',
  saving: 'Saving the model',
  regrouping: 'Regrouping',
  stopping: 'Stopping',
  done: 'Done',
  failed: 'Failed',
};

export class Summary {
  readonly #tiles = new Map<string, { readonly name: HTMLElement; readonly value: HTMLElement }>();

  /** @param connection a description of the connection's problem */
  show({ name, state, history }: RunData, connection: string | null): void {
    const { run, start, step, phase = 'gathering', end } = state ?? {};
    const title = run ? `${run.config.name} · ${name}` : name;
    setText(byId('name'), title);
    document.title = `${connection ?? phases[phase] ?? phase} · ${title}`;
    const interrupted = end?.event === 'error' && end.code === 'INTERRUPTED';
    const shown = byId('phase');
    setText(shown, connection ?? (interrupted ? 'Interrupted' : (phases[phase] ?? phase)));
    shown.dataset['kind'] =
      connection !== null || phase === 'failed' ? 'bad' : phase === 'done' ? 'good' : '';
    const tests = history.evaluations.filter(({ split }) => split === 'test');
    this.#tile('Loss', figure(step?.loss));
    const [metric = 'accuracy', value] = Object.entries(tests.at(-1)?.metrics ?? {})[0] ?? [];
    this.#tile('Metric', metricFigure(metric)(value), `Test ${metricTitle(metric).toLowerCase()}`);
    this.#tile('Images per second', step ? integer(step.imagesPerSecond) : '–');
    this.#tile('Epoch', start ? `${step?.epoch ?? 1} of ${start.epochs}` : '–');
    this.#tile('Workers', state ? String(state.workers.filter(({ rank }) => rank !== null).length) : '–');
    const left =
      start && step ? ((start.steps - step.step) * step.samples) / step.imagesPerSecond : Number.NaN;
    const words =
      end?.event === 'done' ? duration(end.seconds) : Number.isFinite(left) && !end ? duration(left) : '–';
    this.#tile('Time left', words, end?.event === 'done' ? 'Took' : 'Time left');
    this.#tile('ETTR', percent(state?.ettr ?? null), 'ETTR');
    const progress = byId<HTMLProgressElement>('progress');
    progress.max = start?.steps ?? 1;
    progress.value = step?.step ?? 0;
    setText(
      byId('progress-text'),
      start ? `step ${integer(step?.step ?? 0)} of ${integer(start.steps)}` : '',
    );
  }

  #tile(key: string, text: string, name = key): void {
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = { name: h('dt'), value: h('dd') };
      this.#tiles.set(key, tile);
      byId('tiles').append(h('div', {}, tile.name, tile.value));
    }
    setText(tile.name, name);
    setText(tile.value, text);
  }
}
