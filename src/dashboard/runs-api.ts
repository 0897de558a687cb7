/** The requests for the list of runs, and for the data of a run: its state with its charts, and its histograms. */

import { join } from 'node:path';
import type { Context, Hono } from 'hono';
import { isRunName } from '../shared/runs/run-name.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { listRuns, RunSummarizer } from '../shared/runs/run-list.js';
import { PastRuns } from './past-runs.js';
import type { HistogramsAnswer } from './run-view/run-update.js';
import { RunView } from './run-view/run-view.js';

/** The run that trains now. Its data come from its events, so that its log is not read. */
export class LiveRun {
  readonly name: string;
  readonly view = new RunView();
  readonly summarizer: RunSummarizer;

  /** @param folder folder of the runs */
  constructor(folder: string, name: string) {
    this.name = name;
    this.summarizer = new RunSummarizer(join(folder, name));
  }

  note(event: TimedEvent): void {
    this.view.note(event);
    this.summarizer.note(event);
  }
}

/** @param folder folder of the runs */
export function addRuns(app: Hono, folder: string, live: LiveRun | null): void {
  const past = new PastRuns(folder);
  const answer = async (context: Context, content: (view: RunView) => unknown): Promise<Response> => {
    const name = context.req.param('name') ?? '';
    if (name === live?.name) return context.json(content(live.view));
    if (!isRunName(name)) return context.text('Not found.\n', 404);
    try {
      const view = await past.view(name);
      return view === 'busy' ? context.text('Too many requests.\n', 503) : context.json(content(view));
    } catch {
      return context.text('Not found.\n', 404);
    }
  };
  app.get('/api/runs', async (context) => context.json(await listRuns(folder, live?.summarizer)));
  app.get('/api/runs/:name', (context) => answer(context, (view) => view.since()));
  app.get('/api/runs/:name/histograms', (context) => {
    const tensor = context.req.query('tensor') ?? '';
    return answer(context, ({ histograms }): HistogramsAnswer => {
      const { names } = histograms;
      return { names, shown: histograms.of(names.includes(tensor) ? tensor : (names[0] ?? '')) ?? null };
    });
  });
}
