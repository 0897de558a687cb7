/** Commands that put a training to the test: its speed, and what it survives. */

import type { Command } from 'commander';
import { calls, type RunCommand } from './action.js';
import { examples } from './shared-options.js';

export function addBench(program: Command, run: RunCommand): void {
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
    .action(calls(run, async () => (await import('../commands/bench-train.js')).benchTrain));
  bench
    .command('allreduce')
    .description('the all-reduce between processes of this machine, without TensorFlow')
    .option('--workers <n>', 'processes', '2')
    .option('--bytes <list>', 'sizes of float32 vectors, with commas', '512,65536,7800000,25000000,100000000')
    .option('--rounds <n>', 'repetitions of each; the median is printed', '50')
    .option('--shared-memory <auto|off>', 'as for train', 'auto')
    .option('--hosts <n>', 'workers are taken for those of so many hosts, which share no memory', '1')
    .option('--collective <auto|direct|hierarchical>', 'as for train', 'auto')
    .option('--gradient-dtype <type>', 'as for train', 'float32')
    .option('--bucket-bytes <n>', 'as for train', '524288')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep bench allreduce --workers 4', 'microseconds by size']))
    .action(calls(run, async () => (await import('../commands/bench-allreduce.js')).benchAllreduce));
}

export function addChaos(program: Command, run: RunCommand): void {
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
    .action(calls(run, async () => (await import('../commands/chaos.js')).chaos));
}
