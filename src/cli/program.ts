/**
 * The commands and their options, as a tree of commander's. Building it loads no command: each is imported when it is called,
 * so that `--help` needs neither ZeroMQ nor TensorFlow.
 */

import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { BenchAllreduceFlags } from './commands/bench-allreduce.js';
import type { ChaosFlags } from './commands/chaos.js';
import type { BenchTrainFlags } from './commands/bench-train.js';
import type { CoordinatorFlags } from './commands/coordinator.js';
import type { DashboardFlags } from './commands/dashboard.js';
import type { DiffFlags } from './commands/diff.js';
import type { InstallFlags } from './commands/engine.js';
import type { EvalFlags } from './commands/eval.js';
import type { KeygenFlags } from './commands/keygen.js';
import type { PredictFlags } from './commands/predict.js';
import type { RunsFlags } from './commands/runs.js';
import type { TrainCommandFlags } from './commands/train.js';
import type { WorkerFlags } from './commands/worker.js';
import { defaultCoordinator } from './environment.js';
import { inQuietChild } from './quiet-child.js';
import { addSecurityOptions } from './security-options.js';
import { addTrainOptions } from './train-options.js';

/** Of this package. */
export const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { readonly version: string };

/** Said by the launcher alone. */
const launched = (): Option => new Option('--launched').hideHelp();

/** Takes the command that was called; it resolves with the exit status. */
export type RunCommand = (command: () => Promise<number>) => void;

export function buildProgram(run: RunCommand): Command {
  const program = new Command('lockstep')
    .description('Synchronous data-parallel training for TensorFlow.js')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(see --help)');

  addSecurityOptions(
    addTrainOptions(program.command('train').description('train a model on several workers of this machine')),
  )
    .option('--single-process', 'everything in one process, without sockets; same result')
    .action((flags: TrainCommandFlags) => {
      run(async () => (await import('./commands/train.js')).train(flags));
    });

  addSecurityOptions(
    addTrainOptions(
      program.command('coordinator').description('coordinate a run whose workers are started separately'),
    ),
  )
    .option(
      '--listen <endpoint>',
      'address for the workers, tcp://host:port or ipc://path',
      defaultCoordinator,
    )
    .addOption(launched())
    .action((flags: CoordinatorFlags) => {
      run(async () => (await import('./commands/coordinator.js')).coordinate(flags));
    });

  addSecurityOptions(program.command('worker').description('take part in a run as one worker'))
    .option('--coordinator <endpoint>', "the coordinator's address", defaultCoordinator)
    .option('--device <device>', 'cpu or the number of a GPU (default: by instance)')
    .option(
      '--threads <n>',
      "TensorFlow threads, other than the run's; refused unless it has --on-mismatch warn",
    )
    .addOption(launched())
    .addOption(new Option('--slot <name>', 'its place on this host; set by the launcher').hideHelp())
    .action((flags: WorkerFlags) => {
      run(async () => (await import('./commands/worker.js')).work(flags));
    });

  program
    .command('keygen')
    .description('make CURVE keys for a run whose processes are on several hosts')
    .argument('[name]', 'of the key for workers: a host, or leave it out for one that all share', 'worker')
    .option('--out <dir>', 'folder of the keys', 'lockstep-keys')
    .action((name: string, flags: KeygenFlags) => {
      run(async () => (await import('./commands/keygen.js')).keygen(name, flags));
    });

  program
    .command('eval')
    .description('evaluate a saved run or model on the test set')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .option('--data <dir>', 'folder of the four IDX files (default: as the run)')
    .option('--config <file>', 'training definition, when it brings a data source of its own')
    .option('--split <name>', 'test or train', 'test')
    .option('--engine <name>', 'auto, tensorflow or js', 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
    .action((dir: string, flags: EvalFlags) => {
      run(() =>
        inQuietChild(flags.launched === true, async () =>
          (await import('./commands/eval.js')).evaluateSaved(dir, flags),
        ),
      );
    });

  program
    .command('predict')
    .description('classify pictures with a saved run or model')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .argument('<image...>', 'picture files of one digit each')
    .option('--engine <name>', 'auto, tensorflow or js', 'auto')
    .option('--json', 'one JSON line a picture on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      '\nA picture that can not be read is reported, the others are answered, and the exit status is 2.',
    )
    .action((dir: string, images: string[], flags: PredictFlags) => {
      run(() =>
        inQuietChild(flags.launched === true, async () =>
          (await import('./commands/predict.js')).predict(dir, images, flags),
        ),
      );
    });

  program
    .command('dashboard')
    .description('serve a page with the charts of earlier runs')
    .argument('[dir]', 'folder of runs, or of one run', 'runs')
    .option(
      '--listen <address>',
      'a port, or HOST:PORT, which asks for a token (default: on this machine only)',
    )
    .action((dir: string, flags: DashboardFlags) => {
      run(async () => (await import('./commands/dashboard.js')).dashboard(dir, flags));
    });

  program
    .command('runs')
    .description('list past runs, or set some side by side')
    .argument('[run...]', 'folders of runs, or their names; two or more are compared')
    .option('--dir <dir>', 'folder of the runs', 'runs')
    .option('--json', 'one JSON line on stdout')
    .action((names: string[], flags: RunsFlags) => {
      run(async () => (await import('./commands/runs.js')).showRuns(names, flags));
    });

  program
    .command('diff')
    .description('say at which step, shard and parameter two audited runs first differ')
    .argument('<run-a>', 'folder of a run trained with --audit')
    .argument('<run-b>', 'folder of another')
    .option('--json', 'one JSON line on stdout')
    .action((a: string, b: string, flags: DiffFlags) => {
      run(async () => (await import('./commands/diff.js')).diff(a, b, flags));
    });

  const bench = program.command('bench').description('measure a training, or parts of it by themselves');
  bench
    .command('train')
    .description('how fast training steps are, and where each millisecond goes: the recipe on MNIST')
    .option('--workers <n>', 'processes', '2')
    .option('--threads <n>', 'threads of each', '1')
    .option('--batch-size <n>', 'samples a step, over all workers', '64')
    .option('--shards <k>', 'as for train')
    .option('--precision <type>', 'as for train', 'float32')
    .option('--engine <name>', 'as for train', 'auto')
    .option('--config <file>', 'another training definition than the recipe')
    .option('--steps <n>', 'of a round; the first are left out', '100')
    .option('--rounds <n>', 'runs', '3')
    .option('--single-process', 'everything in one process')
    .option('--json', 'one JSON line on stdout')
    .action((flags: BenchTrainFlags) => {
      run(async () => (await import('./commands/bench-train.js')).benchTrain(flags));
    });
  bench
    .command('allreduce')
    .description('the all-reduce between processes of this machine, without TensorFlow')
    .option('--workers <n>', 'processes', '2')
    .option('--bytes <list>', 'sizes of float32 vectors, with commas', '512,65536,7800000,25000000,100000000')
    .option('--rounds <n>', 'repetitions of each; the median is printed', '50')
    .option('--shared-memory <auto|off>', 'as for train', 'auto')
    .option('--hosts <n>', 'workers are taken for those of so many hosts, which share no memory', '1')
    .option('--collective <auto|direct|hierarchical>', 'as for train', 'auto')
    .option('--exchange <type>', 'as for train', 'float32')
    .option('--bucket-bytes <n>', 'as for train', '524288')
    .option('--json', 'one JSON line on stdout')
    .action((flags: BenchAllreduceFlags) => {
      run(async () => (await import('./commands/bench-allreduce.js')).benchAllreduce(flags));
    });

  program
    .command('chaos')
    .description('train again and again with faults, and compare the weights with an undisturbed run')
    .argument('[options...]', 'after --: options of train for every run')
    .option(
      '--faults <list>',
      'kill, stop, drop, delay, duplicate, corrupt, partition, coordinator, coordinator-stop, resume',
      'kill,stop,drop,delay,corrupt,partition,coordinator',
    )
    .option(
      '--points <list>',
      'where: join, meeting, catch-up, bn-forward, ..., random (default: everywhere)',
    )
    .option('--seed <n>', 'which faults are drawn', '1')
    .option('--runs <n>', 'so many runs (default: 10)')
    .option('--minutes <n>', 'or for so long')
    .option('--workers <list>', 'drawn for each run', '2,3,4')
    .option('--shards <k>', 'of every run', '8')
    .option('--steps <n>', 'of every run', '120')
    .option('--pace <ms>', 'pause after each step, so that a small training lasts', '0')
    .option('--pairs', 'two faults at once')
    .option(
      '--soak',
      'one run of --minutes (30) with a fault every so often; memory and the like must stay flat',
    )
    .option('--every <seconds>', 'between two faults of --soak', '20')
    .option('--config <file>', 'training definition')
    .option('--out <dir>', 'keeps the runs that failed')
    .option('--json', 'one JSON line a run on stdout')
    .action((rest: string[], flags: ChaosFlags) => {
      run(async () => (await import('./commands/chaos.js')).chaos(flags, rest));
    });

  const engine = program.command('engine').description('the native TensorFlow library');
  engine
    .command('install')
    .description('provide TensorFlow, from the first source that works')
    .option('--from <dir>', 'a folder with the wheel, its contents, or libtensorflow')
    .option('--cuda', 'the build for NVIDIA GPUs')
    .option('--verify', 'check every file of an installed engine')
    .option('--if-missing', 'do nothing when an engine is installed')
    .option('--force', 'install again')
    .action((flags: InstallFlags) => {
      run(async () => (await import('./commands/engine.js')).install(flags));
    });
  engine
    .command('status')
    .description('what is installed, what it runs on, and what to type next')
    .option('--json', 'as JSON on stdout')
    .action((flags: { readonly json?: boolean }) => {
      run(async () => (await import('./commands/engine.js')).showStatus(flags));
    });
  return program;
}
