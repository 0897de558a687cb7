/** Commands that train, and what a training over several hosts needs. */

import { Option, type Command } from 'commander';
import { defaultCoordinator } from '../options/environment.js';
import { addFaultOptions } from '../options/fault-options.js';
import { addSecurityOptions } from '../options/security-options.js';
import { addTrainOptions } from '../options/train-options.js';
import { calls, type RunCommand } from './action.js';
import { examples, launched } from './shared-options.js';

export function addTrain(program: Command, run: RunCommand): void {
  const command = program.command('train').description('train a model on several workers of this machine');
  addSecurityOptions(addFaultOptions(addTrainOptions(command)))
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
    .action(calls(run, async () => (await import('../commands/train.js')).train));
}

export function addCoordinator(program: Command, run: RunCommand): void {
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
    .action(calls(run, async () => (await import('../commands/coordinator.js')).coordinate));
}

export function addWorker(program: Command, run: RunCommand): void {
  const command = program.command('worker').description('take part in a run as one worker');
  addSecurityOptions(addFaultOptions(command))
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
    .action(calls(run, async () => (await import('../commands/worker.js')).work));
}

export function addKeygen(program: Command, run: RunCommand): void {
  program
    .command('keygen')
    .description('make CURVE keys for a run whose processes are on several hosts')
    .argument('[name]', 'of the key for workers: a host, or leave it out for one that all share', 'worker')
    .option('--out <dir>', 'folder of the keys', 'lockstep-keys')
    .addHelpText('after', examples(['lockstep keygen', 'one key for all workers, in lockstep-keys']))
    .action(calls(run, async () => (await import('../commands/keygen.js')).keygen));
}
