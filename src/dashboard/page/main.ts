/** The page: loads its run (live, or an earlier one) and schedules drawing. */

import type { RunUpdate } from '../run-view/run-view.js';
import { Charts } from './charts.js';
import { byId, setText } from './dom.js';
import { Events } from './events.js';
import { integer } from './format.js';
import { MistakeGrid } from './misclassified.js';
import { RunData } from './run-data.js';
import { fetchCurrent, fetchRun, fetchRuns, Runs } from './runs.js';
import { Summary } from './summary.js';
import { Workers } from './workers.js';

const runsEveryMs = 30_000;

const summary = new Summary();
const charts = new Charts();
const workers = new Workers();
const events = new Events();
const grid = new MistakeGrid();
const runs = new Runs(() => draw());
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
    charts.show(data, [...runs.chosen.values()]);
    workers.show(data);
    events.show(data.history.happenings);
    grid.show(data.misclassified);
    showRange();
  });
}

const range = byId<HTMLInputElement>('look');
let looking = false;
range.addEventListener('input', () => {
  looking = range.value !== range.max;
  charts.look(looking ? Number(range.value) : null);
  showRange();
});

function showRange(): void {
  const [first, last] = [data.steps.x[0] ?? 0, data.steps.x.at(-1) ?? 1];
  range.min = String(first);
  range.max = String(last);
  if (!looking) range.value = range.max;
  const text = looking ? integer(Number(range.value)) : 'latest';
  range.setAttribute('aria-valuetext', looking ? `step ${text}` : `latest step, ${integer(last)}`);
  setText(byId('look-text'), text);
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
  const asked = new URLSearchParams(location.hash.slice(1)).get('run');
  const { live, newest } = await fetchCurrent();
  const name = asked ?? live ?? newest;
  if (name === null) {
    connection = 'No runs yet';
  } else if (name === live) {
    follow(name);
  } else {
    data = await fetchRun(name);
    connection = null;
  }
  draw();
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
