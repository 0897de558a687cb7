/** The page: loads its run (live, or an earlier one) and schedules drawing. */

import type { RunUpdate } from '../run-view/run-view.js';
import { Address } from './address.js';
import { Charts } from './charts.js';
import { Events } from './events.js';
import { showFailure } from './failure.js';
import { LookSlider } from './look-slider.js';
import { MistakeGrid } from './misclassified.js';
import { RunData } from './run-data.js';
import { fetchCurrent, fetchRun, fetchRuns, Runs } from './runs.js';
import { Summary } from './summary.js';
import { Workers } from './workers.js';

const runsEveryMs = 30_000;

const address = new Address();
const summary = new Summary();
const charts = new Charts(address);
const slider = new LookSlider((x) => charts.look(x));
const workers = new Workers();
const events = new Events();
const grid = new MistakeGrid();
const runs = new Runs(address, () => draw());
let data = new RunData('…');
let connection: string | null = 'Connecting';
let scheduled = false;

/** Draws at most once per frame, and not while the page is hidden. */
function draw(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    summary.show(data, connection);
    showFailure(data);
    charts.show(data, runs.compared);
    workers.show(data);
    events.show(data.history.happenings);
    grid.show(data.misclassified);
    slider.show(charts.axis, charts.axis.positions(data, data.steps));
  });
}

function follow(name: string): void {
  data = new RunData(name);
  const source = new EventSource('/api/live');
  source.addEventListener('update', (message) => {
    connection = null;
    data.apply(JSON.parse(message.data as string) as RunUpdate);
    draw();
  });
  source.addEventListener('over', () => {
    // The server ends with the run; the page keeps its data.
    source.close();
    draw();
  });
  source.addEventListener('error', () => {
    // A new connection starts with the complete data.
    connection = 'Connection lost, reconnecting';
    draw();
  });
}

async function start(): Promise<void> {
  const { live, newest } = await fetchCurrent();
  const name = address.settings.run ?? live ?? newest;
  if (name === null) {
    connection = 'No runs yet';
  } else if (name === live) {
    follow(name);
  } else {
    data = await fetchRun(name);
    connection = null;
  }
  draw();
  await runs.loadSelected();
  // Reading all logs may take time.
  const list = async (): Promise<void> => runs.show(await fetchRuns(), name ?? '');
  await list();
  setInterval(() => void list().catch(() => undefined), runsEveryMs);
}

addEventListener('hashchange', () => location.reload());
start().catch((error: unknown) => {
  connection = error instanceof Error ? error.message : 'Failed';
  draw();
});
