/**
 * The commands and their options, as a tree of commander's. Building it loads no command: each is imported when it is called,
 * so that `--help` needs neither ZeroMQ nor TensorFlow.
 */

import { readFileSync } from 'node:fs';
import { Argument, Command, Option } from 'commander';
import { runConfigSchema } from '../shared/config/run-config.js';
import type { BenchAllreduceFlags } from './commands/bench-allreduce.js';
import type { ChaosFlags } from './commands/chaos.js';
import type { BenchTrainFlags } from './commands/bench-train.js';
import type { CoordinatorFlags } from './commands/coordinator.js';
import type { DashboardFlags } from './commands/dashboard.js';
import type { DemoFlags } from './commands/demo.js';
import type { DiffFlags } from './commands/diff.js';
import type { InitFlags } from './commands/init.js';
import type { InstallFlags } from './commands/engine.js';
import type { EvalFlags } from './commands/eval.js';
import type { KeygenFlags } from './commands/keygen.js';
import type { ExportFlags } from './commands/export.js';
import type { ImportFlags } from './commands/import.js';
import type { PredictFlags } from './commands/predict.js';
import type { RunsFlags } from './commands/runs.js';
import type { TrainCommandFlags } from './commands/train.js';
import type { WorkerFlags } from './commands/worker.js';
import { defaultCoordinator } from './environment.js';
import { exitStatus } from './exit.js';
import { exportFormats, weightLayouts } from '../worker/export/formats.js';
import { completionScript, installation, shells, type Shell } from './completion.js';
import { inQuietChild } from './quiet-child.js';
import { addSecurityOptions } from './security-options.js';
import { addTrainOptions } from './train-options.js';

/** Of this package. */
export const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { readonly version: string };

/** Said by the launcher alone. */
const launched = (): Option => new Option('--launched').hideHelp();

const engines = runConfigSchema.shape.engine.unwrap().options.join(', ');

/** For the end of a command's help: what to type, and what it brings. */
function examples(...lines: readonly (readonly [command: string, meaning: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${command.padEnd(width)}  ${meaning}`).join('\n')}`;
}

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
    .addHelpText(
      'after',
      examples(
        ['lockstep train', 'lockstep.config.ts of this folder, else the MNIST recipe'],
        ['lockstep train --epochs 1 --workers 2 --out runs/first', 'one epoch, in a folder of this name'],
        ['lockstep train --devices 0,1 --batch-size 256', 'a worker on each of two GPUs'],
        ['lockstep train --resume auto', 'goes on with the last run that has checkpoints'],
      ),
    )
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
    .addHelpText(
      'after',
      examples(['lockstep coordinator --workers 4', 'waits for four of: lockstep worker']),
    )
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
    .addHelpText(
      'after',
      examples([
        'lockstep worker --coordinator tcp://10.0.0.5:29400 --device 1',
        'of another machine, on its GPU 1',
      ]),
    )
    .action((flags: WorkerFlags) => {
      run(async () => (await import('./commands/worker.js')).work(flags));
    });

  program
    .command('keygen')
    .description('make CURVE keys for a run whose processes are on several hosts')
    .argument('[name]', 'of the key for workers: a host, or leave it out for one that all share', 'worker')
    .option('--out <dir>', 'folder of the keys', 'lockstep-keys')
    .addHelpText('after', examples(['lockstep keygen', 'one key for all workers, in lockstep-keys']))
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
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      examples(
        ['lockstep eval runs/first', 'on the data that it was trained for'],
        ['lockstep eval runs/first --data fashion --split train', 'on other data'],
      ),
    )
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
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line a picture on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      `${examples(
        ['lockstep predict runs/first seven.png two.jpg', 'a line a picture'],
        ['lockstep predict runs/first *.png --json', 'every class with its probability'],
      )}\n\nA picture that can not be read is reported, the others are answered, and the exit status is 2.`,
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
    .addHelpText('after', examples(['lockstep dashboard', 'the runs in runs, at an address that it prints']))
    .action((dir: string, flags: DashboardFlags) => {
      run(async () => (await import('./commands/dashboard.js')).dashboard(dir, flags));
    });

  program
    .command('runs')
    .description('list past runs, or set some side by side')
    .argument('[run...]', 'folders of runs, or their names; two or more are compared')
    .option('--dir <dir>', 'folder of the runs', 'runs')
    .option('--json', 'one JSON line on stdout')
    .addHelpText(
      'after',
      examples(['lockstep runs', 'a line a run'], ['lockstep runs first second', 'two side by side']),
    )
    .action((names: string[], flags: RunsFlags) => {
      run(async () => (await import('./commands/runs.js')).showRuns(names, flags));
    });

  program
    .command('demo')
    .description('serve a page in which a saved model recognises what you draw')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .option('--port <n>', 'port; 0: any that is free', '0')
    .option('--host <address>', 'address to listen on; 0.0.0.0: for other machines too', '127.0.0.1')
    .option('--json', 'one JSON line with the address on stdout')
    .addHelpText('after', examples(['lockstep demo runs/first', 'prints the address of the page']))
    .action((dir: string, flags: DemoFlags) => {
      run(async () => (await import('./commands/demo.js')).demo(dir, flags));
    });

  program
    .command('export')
    .description('write a saved model in the format of another program')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .addOption(new Option('--format <name>', 'of which program').choices(exportFormats).default('tfjs'))
    .addOption(
      new Option('--layout <name>', 'names and orders of safetensors').choices(weightLayouts).default('tfjs'),
    )
    .option('--out <path>', 'file (safetensors, onnx) or folder (default: in the run)')
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      examples(
        ['lockstep export runs/first --format onnx', 'runs/first/model.onnx, for onnxruntime'],
        ['lockstep export runs/first --format savedmodel --out served/1', 'for TensorFlow and its servers'],
      ),
    )
    .action((dir: string, flags: ExportFlags) => {
      run(() =>
        inQuietChild(flags.launched === true, async () =>
          (await import('./commands/export.js')).exportSaved(dir, flags, version),
        ),
      );
    });

  program
    .command('import')
    .description("make a saved model of PyTorch's weights")
    .argument('<file>', 'safetensors file of a state dict')
    .option('--config <file>', 'training definition whose model it is (default: as for train)')
    .option('--order <names>', 'top level modules from first to last, with commas, where several orders fit')
    .option('--out <dir>', 'folder of the run (default: runs/<time>)')
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      examples([
        'lockstep import pytorch.safetensors --out runs/pytorch',
        'the ConvNet; then: lockstep eval runs/pytorch',
      ]),
    )
    .action((file: string, flags: ImportFlags) => {
      run(() =>
        inQuietChild(flags.launched === true, async () =>
          (await import('./commands/import.js')).importWeights(file, flags),
        ),
      );
    });

  program
    .command('diff')
    .description('say at which step, shard and parameter two audited runs first differ')
    .argument('<run-a>', 'folder of a run trained with --audit')
    .argument('<run-b>', 'folder of another')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep diff runs/one runs/two', 'both trained with --audit']))
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
    .addHelpText(
      'after',
      examples(['lockstep bench train --workers 2 --batch-size 128', 'the recipe on two workers']),
    )
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
    .addHelpText('after', examples(['lockstep bench allreduce --workers 4', 'microseconds by size']))
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
    .addHelpText(
      'after',
      examples(
        ['lockstep chaos --runs 5', 'five runs with a fault each, compared with an undisturbed one'],
        ['lockstep chaos --faults kill,stop --minutes 10', 'two kinds, for ten minutes'],
      ),
    )
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
    .addHelpText(
      'after',
      examples(
        ['lockstep engine install', 'from a PyPI wheel, by pip'],
        ['lockstep engine install --from wheels', 'without the network'],
      ),
    )
    .action((flags: InstallFlags) => {
      run(async () => (await import('./commands/engine.js')).install(flags));
    });
  engine
    .command('status')
    .description('what is installed, what it runs on, and what to type next')
    .option('--json', 'as JSON on stdout')
    .addHelpText('after', examples(['lockstep engine status --json', 'for programs']))
    .action((flags: { readonly json?: boolean }) => {
      run(async () => (await import('./commands/engine.js')).showStatus(flags));
    });
  program
    .command('init')
    .description('write a starter project that trains at once; what is there stays as it is')
    .argument('[dir]', 'folder of the project', '.')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep init my-model', 'then follow what it prints']))
    .action((dir: string, flags: InitFlags) => {
      run(async () => (await import('./commands/init.js')).init(dir, flags, version));
    });

  program
    .command('doctor')
    .description('look at this machine and say what to do before training on it')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', '\nThe exit status is 1 when a training can not work here as it is.')
    .action((flags: { readonly json?: boolean }) => {
      run(async () => (await import('./commands/doctor.js')).doctor(flags));
    });

  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText('after', examples(...shells.map((shell) => [installation[shell], shell] as const)))
    .action((shell: Shell) => {
      run(() => {
        process.stdout.write(completionScript(program, shell));
        return Promise.resolve(exitStatus.done);
      });
    });

  return program;
}
