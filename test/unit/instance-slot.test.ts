import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listeningEndpoints } from '../../scripts/fuzz/listening-endpoints.js';
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
      console.log(await takeSlot(${JSON.stringify(folder)}, ${JSON.stringify(group)}));
      setInterval(() => undefined, 1000);`,
    );
    const child = spawn(process.execPath, [jiti.pathname, script], { stdio: ['ignore', 'pipe', 'inherit'] });
    running.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, slot: String(line).trim() };
  }

  it('differ while they run, and go to the process that replaces a killed one', async () => {
    const folder = await temporaryFolder();
    const group = 'group';
    const first = await start(folder, group);
    const second = await start(folder, group);
    const third = await start(folder, group);
    expect([first.slot, second.slot, third.slot]).toEqual(['0', '1', '2']);
    second.child.kill('SIGKILL');
    await once(second.child, 'exit');
    expect((await start(folder, group)).slot).toBe('1');
    expect((await start(folder, group)).slot).toBe('3');
    // Other groups count by themselves.
    expect((await start(folder, 'other')).slot).toBe('0');
  });

  it('differ if processes start at once and find the files of killed ones', async () => {
    const folder = await temporaryFolder();
    const places = [0, 1, 2, 3, 4, 5];
    const startAll = (): Promise<{ child: ChildProcess; slot: string }[]> =>
      Promise.all(places.map(() => start(folder, 'group')));
    const killed = await startAll();
    for (const { child } of killed) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(places.map((place) => `s-group-${place}`)));
    const slots = (await startAll()).map(({ slot }) => Number(slot));
    expect(slots.sort((a, b) => a - b)).toEqual(places);
  });

  it.runIf(process.platform === 'linux')(
    'are held in the folder, which other users can not enter',
    async () => {
      const folder = await temporaryFolder();
      const { child } = await start(folder, 'group');
      expect(listeningEndpoints(child.pid ?? 0)).toEqual([`ipc://${join(folder, 's-group-0')}`]);
    },
  );
});
