/** Scripts of the guides: their fenced blocks of bash. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './docs-commands.js';

/** Returns the only script of a page that contains this text. */
export function guideScript(page: string, text: string): string {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```bash\n([^]*?)^```/gm)];
  const found = blocks.flatMap(([, block = '']) => (block.includes(text) ? [block] : []));
  if (found.length !== 1)
    throw new Error(`${page}: expected one script with "${text}", got ${found.length}.`);
  return found[0]!;
}

const batch = guideScript('docs/slurm.md', '--signal=USR1@90');

export const slurmScripts = {
  batch,
  /** The lines of the batch script before `srun`. */
  header: batch.slice(0, batch.search(/^srun /m)),
  /** The batch script that continues without the tasks that are lost. */
  tolerant: batch.replace(/^srun .*$/m, guideScript('docs/slurm.md', '--no-kill').trim()),
  array: guideScript('docs/slurm.md', '--array='),
  /** The commands without a shared folder. */
  withKeys: guideScript('docs/slurm.md', 'LOCKSTEP_KEYS='),
};
