import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';

describe('the numbers of workers that are started by hand', () => {
  const running: ChildProcess[] = [];
  afterEach(() => running.splice(0).forEach((child) => child.kill('SIGKILL')));

  /** A process that takes a number and keeps it. */
  async function start(folder: string, group: string): Promise<{ child: ChildProcess; slot: string }> {
    const script = join(folder, 'hold.mjs');
    const module = new URL('../../src/launcher/instance-slot.ts', import.meta.url);
    const jiti = new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url);
    await writeFile(
      script,
      `import { takeSlot } from ${JSON.stringify(module.pathname)};
      console.log(await takeSlot(() => ${JSON.stringify(folder)}, ${JSON.stringify(group)}));
      setInterval(() => undefined, 1000);`,
    );
    const child = spawn(process.execPath, [jiti.pathname, script], { stdio: ['ignore', 'pipe', 'inherit'] });
    running.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, slot: String(line).trim() };
  }

  it('differ while they run, and go to the process that replaces a killed one', async () => {
    const folder = await temporaryFolder();
    const group = `test-${process.pid}-${Date.now()}`;
    const first = await start(folder, group);
    const second = await start(folder, group);
    const third = await start(folder, group);
    expect([first.slot, second.slot, third.slot]).toEqual(['0', '1', '2']);
    second.child.kill('SIGKILL');
    await once(second.child, 'exit');
    expect((await start(folder, group)).slot).toBe('1');
    expect((await start(folder, group)).slot).toBe('3');
    // Other groups count by themselves.
    expect((await start(folder, `${group}-other`)).slot).toBe('0');
  });
});
