/** Requests the pages that a browser would load: the dashboard of a running training, and the demo page. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectIn, type RunningCommand } from './stages.js';

async function get(address: string | URL): Promise<Response> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${String(address)}: expected status 200, got ${response.status}`);
  return response;
}

const text = async (address: string | URL): Promise<string> => (await get(address)).text();

/** Loads a page with all files that its HTML references; returns the HTML. */
async function getPage(page: string): Promise<string> {
  const html = await text(page);
  const names = [...html.matchAll(/(?:src|href)="([^":]+)"/g)].map(([, name = '']) => name);
  if (names.length < 2) throw new Error(`${page}: expected a style sheet and a script, got:\n${html}`);
  for (const name of names)
    if ((await text(new URL(name, page))).length === 0)
      throw new Error(`${page}${name}: expected content, got an empty file.`);
  return html;
}

/** Checks the dashboard of a training after 200 steps: the page, the state of the live run, and the metrics. */
export async function visitDashboard(training: RunningCommand, run: string): Promise<void> {
  const [, url = ''] = await training.waitForOutput(/"event":"dashboard","url":"([^"]+)"/);
  await training.waitForOutput(/"event":"step"[^\n}]*"step":200,/);
  expectIn(await getPage(url), /<title>Lockstep<\/title>/);
  const live = (await (await get(`${url}api/current`)).json()) as { live: string | null };
  if (live.live !== run) throw new Error(`${url}api/current: expected the live run ${run}, got ${live.live}`);
  const { state } = (await (await get(`${url}api/runs/${run}`)).json()) as {
    state: { phase: string; step: { step: number; loss: number }; workers: unknown[]; end: unknown };
  };
  if (!(state.step.step >= 200 && state.step.loss > 0 && state.step.loss < 1 && state.end === null))
    throw new Error(`${url}: expected step 200 or later with a loss below 1, got ${JSON.stringify(state)}`);
  if (state.workers.length !== 2)
    throw new Error(`${url}: expected 2 workers, got ${JSON.stringify(state.workers)}`);
  const metrics = await text(`${url}metrics`);
  const steps = Number(/^lockstep_steps_total (\d+)$/m.exec(metrics)?.[1]);
  if (!(steps >= 200)) throw new Error(`${url}metrics: expected 200 steps or more, got:\n${metrics}`);
}

/** Checks the demo's page, tfjs and the weights of the run in `folder`, then interrupts the demo. */
export async function visitDemo(demo: RunningCommand, folder: string): Promise<void> {
  const [, url = ''] = await demo.waitForOutput(/Draw a digit at (\S+)/);
  expectIn(await getPage(url), /<title>Draw a digit<\/title>[^]*id="pad"/);
  expectIn(await text(`${url}about.json`), /"normalize":\{"mean":0\.5,"std":0\.5\}/);
  expectIn(await text(`${url}model/model.json`), /"modelTopology"/);
  const served = Buffer.from(await (await get(`${url}model/weights.bin`)).arrayBuffer());
  if (!served.equals(await readFile(join(folder, 'model', 'weights.bin'))))
    throw new Error(`${url}model/weights.bin: expected the weights of ${folder}, got different bytes.`);
  demo.signal('SIGINT');
  await demo.ended;
  const isServed = await fetch(url).then(
    () => true,
    () => false,
  );
  if (isServed) throw new Error(`${url}: expected no server after SIGINT, got a response.`);
}
