/** Definitions of the commands that train, and of the one that creates keys for training on several hosts. */

import { InvalidArgumentError, Option, type Command } from 'commander';
import { launcherChoices } from '../../launcher/platforms/detect.js';
import { addFaultOptions } from '../options/fault-options.js';
import { addNetworkOptions } from '../options/network-options.js';
import { repeatable } from '../options/repeatable.js';
import { addSecurityOptions } from '../options/security-options.js';
import { addTrainOptions } from '../options/train-options.js';
import { calls, type RunCommand } from './command-action.js';
import { examples, healthOption, launchedOption } from './shared-options.js';

export function addTrain(program: Command, run: RunCommand): void {
  const command = program
    .command('train')
    .description("train a model on several workers of this machine, or on the tasks of a scheduler's job");
  addTrainOptions(command).optionsGroup('Processes and security:');
  addSecurityOptions(addFaultOptions(command))
    .addOption(healthOption())
    .addOption(new Option('--stop-with-parent').hideHelp())
    .addOption(
      new Option(
        '--values <json>',
        'values of configuration fields, passed by the function train()',
      ).hideHelp(),
    )
    .addOption(
      new Option(
        '--launcher <name>',
        'scheduler whose variables describe this process; auto: the one that is found; none: this machine only',
      )
        .choices(launcherChoices)
        .default('auto'),
    )
    .option('--single-process', 'everything in one process, without sockets; the result is the same')
    .addHelpText(
      'after',
      examples(
        ['lockstep train', 'lockstep.config.ts of this folder, else the MNIST recipe'],
        ['lockstep train --epochs 1 --workers 2 --out runs/first', 'one epoch, in the folder runs/first'],
        ['lockstep train --devices 0,1 --batch-size 256', 'one worker on each of two GPUs'],
        [
          'lockstep train --set optimizer.learningRate=0.01',
          'another value for any field of the configuration',
        ],
        ['srun -n 4 lockstep train', 'in a Slurm job: one worker per task'],
        ['lockstep train --resume auto', 'resumes the latest run with checkpoints'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/train.js')).train));
}

export function addSweep(program: Command, run: RunCommand): void {
  const number = (value: string): number => {
    if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('expected a whole number.');
    return Number(value);
  };
  program
    .command('sweep')
    .description('train one run for each combination of values, and compare them')
    .usage('[options] [-- options of train...]')
    .argument('[options...]', 'options of train that are the same in every run, after --')
    .addOption(
      repeatable(
        '--grid <field=values>',
        'field and its values, e.g. batchSize=32,64; all combinations are tried; repeatable',
      ),
    )
    .addOption(
      repeatable(
        '--random <field=values>',
        'field and values to draw from: a list, or low..high, log:low..high or int:low..high; repeatable',
      ),
    )
    .addOption(
      new Option('--trials <n>', 'number of draws for each combination of the grid (default: 1)').argParser(
        number,
      ),
    )
    .addOption(new Option('--seed <n>', 'seed of the draws (default: 1)').argParser(number))
    .option(
      '--best <metric>',
      'result by which runs are compared: loss, or a metric of the test set (default: loss)',
    )
    .addOption(
      new Option(
        '--mode <min|max>',
        'direction of the better result (default: min for losses and errors, else max)',
      ).choices(['min', 'max']),
    )
    .option(
      '--out <dir>',
      'folder of the sweep, which the same command continues (default: runs/sweep-<time>)',
    )
    .option('--json', 'one JSON line with all results on stdout')
    .addHelpText(
      'after',
      examples(
        ['lockstep sweep --grid optimizer.learningRate=0.1,0.01 --grid batchSize=32,64', 'four runs'],
        [
          'lockstep sweep --random optimizer.learningRate=log:1e-4..1e-1 --trials 20 -- --epochs 2',
          '20 short runs',
        ],
        ['lockstep sweep --out runs/sweep', 'continues an interrupted sweep'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/sweep.js')).sweep));
}

export function addCoordinator(program: Command, run: RunCommand): void {
  const command = program
    .command('coordinator')
    .description('coordinate a run whose workers are started separately');
  addTrainOptions(command).optionsGroup('Processes and security:');
  addSecurityOptions(command)
    .option(
      '--listen <endpoint>',
      'address for the workers, tcp://host:port or ipc://path; tcp://*:port for all addresses of this machine (default: LOCKSTEP_COORDINATOR, else a socket in a private folder of this user)',
    )
    .addOption(healthOption())
    .addOption(launchedOption())
    .addHelpText(
      'after',
      examples(['lockstep coordinator --workers 4', 'waits for four processes of lockstep worker']),
    )
    .action(calls(run, async () => (await import('../commands/coordinator.js')).coordinate));
}

export function addWorker(program: Command, run: RunCommand): void {
  const command = program.command('worker').description('take part in a run as one worker');
  addNetworkOptions(
    addSecurityOptions(addFaultOptions(command)).option(
      '--coordinator <endpoint>',
      'address of the coordinator (default: LOCKSTEP_COORDINATOR, else the socket of this user)',
    ),
  )
    .option(
      '--config <file>',
      "training definition on this machine (default: the coordinator's path; without keys on TCP, the default of `train`)",
    )
    .option(
      '--device <device>',
      "device: cpu or the number of a GPU (default: by the worker's number on its host)",
    )
    .option(
      '--threads <n>',
      "TensorFlow threads, if other than the run's; rejected unless the run has --on-mismatch warn",
    )
    .addOption(healthOption())
    .addOption(launchedOption())
    .addOption(
      new Option('--slot <name>', "index of the worker's slot on this host, set by the launcher").hideHelp(),
    )
    .addHelpText(
      'after',
      examples([
        'lockstep worker --coordinator tcp://10.0.0.5:28600 --device 1',
        'on another machine, with its GPU 1',
      ]),
    )
    .action(calls(run, async () => (await import('../commands/worker.js')).work));
}

export function addKeygen(program: Command, run: RunCommand): void {
  program
    .command('keygen')
    .description('make CURVE keys for a run whose processes are on several hosts')
    .argument('[name]', 'name of the key for workers: a host, or none for a key that all share', 'worker')
    .option('--out <dir>', 'folder of the keys', 'lockstep-keys')
    .addHelpText('after', examples(['lockstep keygen', 'one key for all workers, in lockstep-keys']))
    .action(calls(run, async () => (await import('../commands/keygen.js')).keygen));
}
