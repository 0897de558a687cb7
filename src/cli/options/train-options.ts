/** The options of `train`: command line to config. The same for `coordinator`, which pm2 starts. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import { chooseGpus, mergeConfig, resolveConfig } from './resolve.js';
import { runConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import { fieldsThatDiffer, type FoundCheckpoint } from '../../shared/checkpoint/checkpoint.js';
import type { ResumeCheckpoint } from '../../coordinator/types.js';
import { ConfigError } from '../../shared/errors.js';
import { definitionCache, environmentLayers, machine } from './environment.js';
import { defaultOut } from '../reporters/event-log.js';
import { logLevels, type LogLevel } from '../reporters/lines.js';
import type { WatchedOptions } from '../reporters/observers.js';
import { chooseResume, runOf } from '../runs/resume.js';

/** The recipe that is trained when nobody says otherwise. */
export const defaultDefinition = fileURLToPath(
  new URL('../../../examples/mnist/lockstep.config.ts', import.meta.url),
);

const numeric = (value: string): number => {
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) throw new InvalidArgumentError('expected a number.');
  return number;
};

type Field = keyof typeof runConfigSchema.shape;

const numberFlags: readonly [string, Field][] = [
  ['--workers <n>', 'workers'],
  ['--min-workers <n>', 'minWorkers'],
  ['--epochs <n>', 'epochs'],
  ['--max-steps <n>', 'maxSteps'],
  ['--batch-size <n>', 'batchSize'],
  ['--shards <k>', 'shards'],
  ['--threads <n>', 'threads'],
  ['--seed <n>', 'seed'],
  ['--keep <n>', 'keep'],
  ['--log-every <n>', 'logEvery'],
  ['--bucket-bytes <n>', 'bucketBytes'],
  ['--heartbeat-ms <n>', 'heartbeatMs'],
  ['--peer-timeout-ms <n>', 'peerTimeoutMs'],
  ['--coordinator-timeout-ms <n>', 'coordinatorTimeoutMs'],
  ['--step-timeout-ms <n>', 'stepTimeoutMs'],
  ['--join-timeout-ms <n>', 'joinTimeoutMs'],
];

const textFlags: readonly [string, Field][] = [
  ['--devices <list>', 'devices'],
  ['--engine <name>', 'engine'],
  ['--precision <type>', 'precision'],
  ['--data <dir>', 'data'],
  ['--evaluate <sets>', 'evaluate'],
  ['--evaluate-every <interval>', 'evaluateEvery'],
  ['--histogram-every <interval>', 'histogramEvery'],
  ['--on-mismatch <fail|warn>', 'onMismatch'],
  ['--shared-memory <auto|off>', 'sharedMemory'],
  ['--balance <off|speed>', 'balance'],
  ['--collective <auto|direct|hierarchical>', 'collective'],
  ['--gradient-dtype <type>', 'gradientDtype'],
  ['--trace <file>', 'trace'],
  ['--checkpoint-every <interval>', 'checkpointEvery'],
];

const otherFlags: readonly [string, Field][] = [['--audit', 'audit']];

export interface TrainFlags extends Partial<Record<Field, unknown>> {
  readonly config?: string;
  readonly out?: string;
  readonly json?: boolean;
  readonly dashboard?: string | true;
  readonly tensorboard?: string | true;
  readonly logLevel?: LogLevel;
  readonly logFormat?: 'text' | 'json';
  readonly resume?: string;
}

export function addTrainOptions(command: Command): Command {
  command.option(
    '--config <file>',
    'training definition (default: ./lockstep.config.ts or .js, else the MNIST recipe)',
  );
  for (const [flags, field] of numberFlags) command.option(flags, describe(field), numeric);
  for (const [flags, field] of textFlags) command.option(flags, describe(field));
  command.option('--audit', describe('audit'));
  command.option(
    '--resume <dir>',
    'go on from the newest checkpoint of a run; auto: of --out, or of the last run',
  );
  command.option('--out <dir>', 'folder of the run (default: runs/<time>)');
  command.option(
    '--dashboard [address]',
    'serve a page with live charts, and Prometheus metrics; a port, or HOST:PORT, which asks for a token',
  );
  command.option(
    '--tensorboard [dir]',
    'write event files for TensorBoard (default: tensorboard/ in the folder of the run)',
  );
  command.option('--json', 'one JSON event a line on stdout');
  command.addOption(
    new Option('--log-level <level>', 'what is said on stderr').choices(logLevels).default('info'),
  );
  command.addOption(
    new Option('--log-format <format>', 'text for people, json for log collectors')
      .choices(['text', 'json'])
      .default('text'),
  );
  return command;
}

function describe(field: Field): string {
  return runConfigSchema.shape[field].description ?? field;
}

export interface RunSetup {
  readonly config: ResolvedConfig;
  readonly definition: LoadedDefinition;
  /** GPUs to give to workers, in order; empty: CPU. */
  readonly gpus: readonly number[];
  /** Folder of the run. */
  readonly out: string;
  readonly resume: FoundCheckpoint | null;
}

/** How the run is told of, and to whom. */
export const reporting = ({
  json = false,
  logLevel = 'info',
  logFormat = 'text',
  dashboard,
  tensorboard,
}: TrainFlags): Omit<WatchedOptions, 'out' | 'resume' | 'callbacks'> => ({
  ...{ json, logLevel, logFormat, dashboard, tensorboard },
});

/** What the coordinator needs to know of it. */
export const checkpointRefOf = (found: FoundCheckpoint | null): ResumeCheckpoint | null =>
  found ? { path: found.path, step: found.manifest.step, identity: found.manifest.identity } : null;

/** Defaults < file (or checkpoint) < environment < flags. @throws ConfigError */
export async function readSetup(flags: TrainFlags): Promise<RunSetup> {
  const resume = await chooseResume(flags.resume, flags.out);
  const before = resume?.manifest;
  const definition = await loadDefinition(
    definitionPath(flags.config ?? before?.definition.path),
    definitionCache(),
  );
  const given = [...numberFlags, ...textFlags, ...otherFlags].flatMap(([flag, field]) => {
    const value = flags[field];
    return value === undefined ? [] : [{ source: flag.split(' ')[0] ?? flag, values: { [field]: value } }];
  });
  const merged = mergeConfig([
    // Who says another interval gets it.
    ...(flags.tensorboard === undefined
      ? []
      : [{ source: '--tensorboard', values: { histogramEvery: '1epoch' } }]),
    before
      ? { source: resume.path, values: { ...before.config, trace: null } }
      : { source: definition.path, values: definition.values },
    ...environmentLayers(),
    ...given,
  ]);
  const { cores, present } = machine(merged.devices);
  const gpus = chooseGpus(merged.devices, present);
  const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));
  const paths = { data: absolute(merged.data), trace: absolute(merged.trace) };
  const config = resolveConfig({ ...merged, ...paths }, { cores, gpus });
  const changed = before ? fieldsThatDiffer(before.config, config) : [];
  if (changed.length > 0) {
    throw new ConfigError(
      `--resume: expected the settings of ${resume?.path ?? ''}, got others: ${changed.join('; ')}. ` +
        'Leave them out, or start a new run.',
    );
  }
  const fresh = resume ? runOf(resume.path) : defaultOut(new Date());
  return { config, definition, gpus, resume, out: flags.out === undefined ? fresh : resolve(flags.out) };
}

/** The training definition: given, in the working folder, or the MNIST recipe. */
export function definitionPath(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  for (const name of ['lockstep.config.ts', 'lockstep.config.js']) {
    if (existsSync(name)) return resolve(name);
  }
  return defaultDefinition;
}
