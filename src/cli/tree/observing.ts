/** Commands that look at runs, and change none. */

import type { Command } from 'commander';
import { calls, type RunCommand } from './action.js';
import { examples } from './shared-options.js';

export function addDashboard(program: Command, run: RunCommand): void {
  program
    .command('dashboard')
    .description('serve a page with the charts of earlier runs')
    .argument('[dir]', 'folder of runs, or of one run', 'runs')
    .option(
      '--listen <address>',
      'a port, or HOST:PORT, which asks for a token (default: on this machine only)',
    )
    .addHelpText('after', examples(['lockstep dashboard', 'the runs in runs, at an address that it prints']))
    .action(calls(run, async () => (await import('../commands/dashboard.js')).dashboard));
}

export function addRuns(program: Command, run: RunCommand): void {
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
    .action(calls(run, async () => (await import('../commands/runs.js')).showRuns));
}

export function addDiff(program: Command, run: RunCommand): void {
  program
    .command('diff')
    .description('say at which step, shard and parameter two audited runs first differ')
    .argument('<run-a>', 'folder of a run trained with --audit')
    .argument('<run-b>', 'folder of another')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep diff runs/one runs/two', 'both trained with --audit']))
    .action(calls(run, async () => (await import('../commands/diff.js')).diff));
}
