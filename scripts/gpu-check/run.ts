/**
 * Runs the stages that check the engine webgpu on this machine's GPU, and writes results.json and table.txt after each.
 *
 *   --stages a,b   only these stages (default: all)
 *   --out DIR      folder of the results (default: the working folder)
 *   --software     permits a driver that simulates a GPU on the CPU, with smaller sizes
 *   --python FILE  Python for the comparison with PyTorch (default: python3)
 *
 * The exit status is 1 if a stage failed. Other stages are run all the same, except without an adapter.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openAdapter } from './adapter.js';
import { chooseDriver, driverDescription } from './driver.js';
import { Report, type StageResult } from './report.js';
import {
  gpuSizes,
  Skipped,
  softwareSizes,
  StageFailure,
  type Adapter,
  type GpuCheck,
  type Row,
  type Stage,
} from './stage.js';
import { stages } from './stages.js';

const { values: given } = parseArgs({
  options: {
    stages: { type: 'string' },
    out: { type: 'string', default: '.' },
    software: { type: 'boolean', default: false },
    python: { type: 'string', default: 'python3' },
  },
});

const names = given.stages?.split(',') ?? stages.map(({ name }) => name);
const unknown = names.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(
    `--stages: expected ${stages.map(({ name }) => name).join(', ')}, got ${unknown.join(', ')}.`,
  );
  process.exit(2);
}

const work = mkdtempSync(path.join(os.tmpdir(), 'lockstep-gpu-runs-'));

/** Makes Vulkan's loader find NVIDIA's driver. Returns the description for the table. */
function prepareDriver(): string {
  const set = process.env['VK_DRIVER_FILES'] ?? process.env['VK_ICD_FILENAMES'];
  if (set !== undefined) return `${set}, from the environment`;
  const choice = chooseDriver();
  switch (choice.kind) {
    case 'registered':
      return 'registered by the system';
    case 'none':
      return 'none of NVIDIA found; those that the system registers';
    case 'described':
      process.env['VK_DRIVER_FILES'] = choice.file;
      return `${choice.file}, which is not registered`;
    case 'undescribed': {
      const file = path.join(work, 'nvidia_icd.json');
      writeFileSync(file, driverDescription(choice.library));
      process.env['VK_DRIVER_FILES'] = file;
      return `${choice.library}, which no file describes`;
    }
  }
}

/** Returns the adapter, or the reason why there is none, which each stage that needs it reports. */
function openedAdapter(): Adapter | Error {
  try {
    return openAdapter(given.software);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Runs a stage within its time. */
async function runStage(stage: Stage, check: GpuCheck): Promise<StageResult> {
  const { name, title } = stage;
  const limit = stage.seconds * check.sizes.patience;
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  const timer = new AbortController();
  const timeout = setTimeout(
    () => timer.abort(new Error(`expected an end within ${limit} s, got none`)),
    limit * 1000,
  );
  try {
    if (stage.needsAdapter) check.adapter();
    const rows = await stage.run(check, timer.signal);
    return { name, title, state: 'passed', seconds: seconds(), rows };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const state = error instanceof Skipped ? 'skipped' : 'failed';
    return {
      name,
      title,
      state,
      seconds: seconds(),
      reason,
      rows: error instanceof StageFailure ? error.rows : [],
    };
  } finally {
    clearTimeout(timeout);
  }
}

// The handler of `exit` in training.ts ends the processes of a stage that runs.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

const driver = prepareDriver();
const opened = openedAdapter();
if (!(opened instanceof Error) && opened.shared !== undefined)
  process.env['LOCKSTEP_WEBGPU_ADAPTERS'] ??= opened.shared;
const isSoftware = !(opened instanceof Error) && opened.isSoftware;
const check: GpuCheck = {
  adapter: () => {
    if (opened instanceof Error) throw opened;
    return opened;
  },
  work,
  python: given.python,
  sizes: isSoftware ? softwareSizes : gpuSizes,
};
const about: Row[] = [
  ['Adapter', opened instanceof Error ? 'none' : opened.name],
  ['Driver file', driver],
  [
    'Machine',
    `${os.cpus()[0]?.model.trim() ?? ''}, ${os.availableParallelism()} cores, ${os.type()} ${os.release()}`,
  ],
  ['Node', process.version],
  ['Sizes', check.sizes.title],
  ['Time', new Date().toISOString()],
];
for (const [name, value] of about) console.log(`${name.padEnd(14)} ${value}`);
const report = new Report(given.out, about);
for (const stage of stages.filter(({ name }) => names.includes(name))) {
  console.log(`\n${stage.title} ...`);
  const result = await runStage(stage, check);
  report.add(result);
  for (const [name, value] of result.rows) console.log(`    ${name}: ${value}`);
  console.log(
    `${result.state}, ${result.seconds.toFixed(1)} s${result.reason === undefined ? '' : `: ${result.reason}`}`,
  );
}
console.log(`\nWritten: ${path.resolve(given.out, 'results.json')} and table.txt`);
process.exitCode = report.hasFailed ? 1 : 0;
