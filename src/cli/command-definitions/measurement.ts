/** Definitions of the commands that measure the speed of training and test its recovery from faults. */

import type { Command } from 'commander';
import { calls, type RunCommand } from './command-action.js';
import { examples, fieldOption } from './shared-options.js';

export function addBench(program: Command, run: RunCommand): void {
  const bench = program.command('bench').description('measure training, or parts of it');
  addBenchTrain(bench, run);
  addBenchAllreduce(bench, run);
}

function addBenchTrain(bench: Command, run: RunCommand): void {
  bench
    .command('train')
    .description('measure training steps of the MNIST recipe and the parts of their time')
    .addOption(fieldOption('workers', '2'))
    .addOption(fieldOption('threads', '1'))
    .addOption(fieldOption('batchSize', '64'))
    .addOption(fieldOption('shards'))
    .addOption(fieldOption('precision', 'float32'))
    .addOption(fieldOption('engine', 'auto'))
    .option('--config <file>', 'training definition (default: the MNIST recipe)')
    .option('--steps <n>', 'steps per round; the first ones are not measured', '100')
    .option('--rounds <n>', 'number of runs', '3')
    .option('--single-process', 'everything in one process')
    .option('--json', 'one JSON line on stdout')
    .addHelpText(
      'after',
      examples(['lockstep bench train --workers 2 --batch-size 128', 'the recipe on two workers']),
    )
    .action(calls(run, async () => (await import('../commands/bench-train.js')).benchTrain));
}

function addBenchAllreduce(bench: Command, run: RunCommand): void {
  bench
    .command('allreduce')
    .description('measure the all-reduce between processes of this machine, without TensorFlow')
    .addOption(fieldOption('workers', '2'))
    .option(
      '--bytes <list>',
      'sizes of the float32 vectors, comma-separated',
      '512,65536,7800000,25000000,100000000',
    )
    .option('--rounds <n>', 'repetitions per size; the median is printed', '50')
    .addOption(fieldOption('sharedMemory', 'auto'))
    .option('--hosts <n>', 'number of simulated hosts; workers of different hosts share no memory', '1')
    .addOption(fieldOption('collective', 'auto'))
    .addOption(fieldOption('gradientDtype', 'float32'))
    .addOption(fieldOption('bucketBytes', '524288'))
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep bench allreduce --workers 4', 'microseconds by size']))
    .action(calls(run, async () => (await import('../commands/bench-allreduce.js')).benchAllreduce));
}

export function addChaos(program: Command, run: RunCommand): void {
  program
    .command('chaos')
    .description('train repeatedly with faults and compare the weights with those of an undisturbed run')
    .argument('[options...]', 'options of train for every run, after --')
    .option(
      '--faults <list>',
      'kinds of faults: kill, stop, drop, delay, duplicate, corrupt, partition, coordinator, coordinator-stop, resume, pause, storm',
      'kill,stop,drop,delay,corrupt,partition,coordinator',
    )
    .option(
      '--points <list>',
      'points at which faults occur: join, peers-connected, state-transfer, bn-forward, ..., random (default: all)',
    )
    .option('--seed <n>', 'seed of the random choice of faults', '1')
    .option('--runs <n>', 'number of runs (default: 10)')
    .option('--minutes <n>', 'duration, instead of a number of runs')
    .option('--workers <list>', 'numbers of workers, one of which is chosen for each run', '2,3,4')
    .option('--shards <k>', 'number of shards of every run', '8')
    .option('--steps <n>', 'number of steps of every run', '120')
    .option('--pace <ms>', 'pause after each step, so that a small training takes longer', '0')
    .option('--pairs', 'two faults at once')
    .option(
      '--soak',
      'one run of --minutes (default: 30) with repeated faults; memory and other resources must not grow',
    )
    .option('--every <seconds>', 'interval between two faults of --soak', '20')
    .option('--least-ettr <percent>', 'a --soak with a lower effective training time ratio fails')
    .option(
      '--most-lost <seconds>',
      'a --soak fails if a fault costs more than this beyond its documented cost, on average',
    )
    .option('--config <file>', 'training definition (default: as for train)')
    .option('--out <dir>', 'folder in which failed runs are kept')
    .option('--json', 'one JSON line per run on stdout')
    .addHelpText(
      'after',
      examples(
        ['lockstep chaos --runs 5', 'five runs with one fault each, compared with an undisturbed run'],
        ['lockstep chaos --faults kill,stop --minutes 10', 'two kinds of faults for ten minutes'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/chaos.js')).chaos));
}
