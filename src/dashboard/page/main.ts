/** The page: loads its run (live, or an earlier one) and schedules drawing. */

import type { RunUpdate } from '../run-view/run-update.js';
import { Address } from './address.js';
import { PageView } from './page-view.js';
import { connectRunControls, endRunControls } from './run-controls.js';
import { RunData } from './run-data.js';
import { fetchCurrent, fetchRun, fetchRuns } from './runs/fetch.js';
import { RunsTable } from './runs/runs-table.js';
import { Selection } from './runs/selection.js';

const runsEveryMs = 30_000;

const address = new Address();
const view = new PageView(address, () => draw());
const selection = new Selection(address, () => draw());
const runs = new RunsTable(address, selection);
let data = new RunData('…');
let connection: string | null = 'Connecting';
let scheduled = false;
/** True from the end of the live run on, with which its server ends. */
let isOver = false;

/** Draws at most once per frame, and not while the page is hidden. */
function draw(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    view.show(data, selection.compared, connection);
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
    isOver = true;
    endRunControls();
    draw();
  });
  source.addEventListener('error', () => {
    // A new connection starts with the complete data.
    connection = 'Connection lost, reconnecting';
    draw();
  });
}

async function start(): Promise<void> {
  const { live, newest, control } = await fetchCurrent();
  const name = address.settings.run ?? live ?? newest;
  if (name === null) {
    connection = 'No runs yet';
  } else if (name === live) {
    follow(name);
    connectRunControls(control);
  } else {
    data = await fetchRun(name);
    connection = null;
  }
  draw();
  await selection.load();
  // Reading all logs may take time.
  const list = async (): Promise<void> => runs.show(await fetchRuns(), name ?? '');
  await list();
  setInterval(() => {
    if (!isOver) list().catch(() => undefined);
  }, runsEveryMs);
}

addEventListener('hashchange', () => location.reload());
start().catch((error: unknown) => {
  connection = error instanceof Error ? error.message : 'Failed';
  draw();
});
