/** Definitions of the commands that read runs without changing them. */

import type { Command } from 'commander';
import { repeatable } from '../options/repeatable.js';
import { calls, type RunCommand } from './command-action.js';
import { examples } from './shared-options.js';

export function addDashboard(program: Command, run: RunCommand): void {
  program
    .command('dashboard')
    .description('serve a page with the charts of earlier runs')
    .argument('[dir]', 'folder of runs, or of one run', 'runs')
    .option(
      '--listen <address>',
      'address of the page: a port of this machine, or HOST:PORT; beyond loopback a token is required (default: a free port)',
    )
    .addHelpText('after', examples(['lockstep dashboard', 'the runs in runs/, at the printed address']))
    .action(calls(run, async () => (await import('../commands/dashboard.js')).dashboard));
}

export function addRuns(program: Command, run: RunCommand): void {
  program
    .command('runs')
    .description('list past runs, or compare some of them')
    .argument('[run...]', 'folders or names of runs; two or more are compared')
    .option('--dir <dir>', 'folder of the runs', 'runs')
    .option(
      '--sort <name>',
      'order by a result (loss, accuracy, seconds) or a field of the configuration; -name: reversed',
    )
    .addOption(
      repeatable(
        '--filter <condition>',
        'condition such as accuracy>0.99, optimizer.kind=sgd or tags=good; repeatable',
      ),
    )
    .option(
      '--best-by <name>',
      'the run with the best value only: the lowest loss or error, the highest of any other',
    )
    .addOption(repeatable('--tag <name>', 'tag for the named runs; repeatable'))
    .addOption(repeatable('--untag <name>', 'tag to remove from the named runs; repeatable'))
    .option('--note <text>', 'note for the named runs; an empty text removes it')
    .option('--json', 'one JSON line on stdout')
    .addHelpText(
      'after',
      examples(
        ['lockstep runs', 'one line per run'],
        ['lockstep runs first second', 'a comparison of two runs'],
        [
          "lockstep runs --filter 'accuracy>0.5' --sort loss",
          'the good runs, the one with the lowest loss first',
        ],
        ['lockstep runs first --tag good --note baseline', 'labels that later lists show'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/runs.js')).showRuns));
}

export function addDiff(program: Command, run: RunCommand): void {
  program
    .command('diff')
    .description('find the first step, shard and parameter in which two audited runs differ')
    .argument('<run-a>', 'folder of a run trained with --audit')
    .argument('<run-b>', 'folder of another run trained with --audit')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep diff runs/one runs/two', 'both trained with --audit']))
    .action(calls(run, async () => (await import('../commands/diff.js')).diff));
}

export function addStatus(program: Command, run: RunCommand): void {
  program
    .command('status')
    .description('ask a running process whether it is alive and takes part in its run')
    .requiredOption(
      '--address <address>',
      'address of --health of the process: a port of this machine, or HOST:PORT',
    )
    .option('--live', 'exit with 0 if the process is alive, also if it is not ready')
    .addHelpText(
      'after',
      examples(['lockstep status --address 8086', 'status 0 if the process is ready, else 1']),
    )
    .action(calls(run, async () => (await import('../commands/status.js')).status));
}
