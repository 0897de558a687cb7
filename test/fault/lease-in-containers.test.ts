import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

describe('the lease of a run in containers with one host name', () => {
  /** Starts a command as the first process, PID 1, of a PID namespace. */
  const inNamespace = ['--pid', '--fork', '--kill-child', '--mount-proc'];
  const isPermitted = spawnSync('unshare', [...inNamespace, 'true']).status === 0;

  /** Starts a process that takes the lease as the first one of a PID namespace. */
  async function startContainer(out: string) {
    const script = join(await temporaryFolder(), 'contain.mjs');
    const module = new URL('../../dist/launcher/lease.js', import.meta.url);
    await writeFile(
      script,
      `import { takeLease } from ${JSON.stringify(module.href)};
      try {
        await takeLease({ out: ${JSON.stringify(out)}, host: 'here', onLost: (message) => console.log(message) });
        console.log('held by ' + process.pid);
        setInterval(() => undefined, 1000);
      } catch (error) {
        console.log(error.message);
      }`,
    );
    const child = spawn('unshare', [...inNamespace, process.execPath, script]);
    running.push(child);
    const lines: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => lines.push(...text.trim().split('\n')));
    await eventually('the answer', () => lines.length > 0);
    return { child, lines };
  }
  const running: ChildProcess[] = [];
  afterEach(() => running.splice(0).forEach((child) => child.kill('SIGKILL')));

  // Without root, or in a sandbox, a PID namespace cannot be made.
  it.runIf(isPermitted)(
    'goes to a restarted container whose process has the PID of the dead holder',
    async () => {
      const out = join(await temporaryFolder(), 'run');
      const first = await startContainer(out);
      expect(first.lines).toEqual(['held by 1']);
      first.child.kill('SIGKILL');
      await once(first.child, 'exit');
      const second = await startContainer(out);
      expect(second.lines).toEqual(['held by 1']);
    },
  );

  it.runIf(isPermitted)(
    'stays with a living holder in another container with the same host name',
    async () => {
      const out = join(await temporaryFolder(), 'run');
      const first = await startContainer(out);
      const second = await startContainer(out);
      expect(second.lines).toEqual([
        expect.stringContaining('is led by pid 1 on here (in another container) already'),
      ]);
      expect(first.lines).toEqual(['held by 1']);
    },
  );
});
