import { chmodSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  makeSocketDirectory,
  privateEndpoint,
  removeSocketDirectory,
  restoreSocketDirectory,
} from '../../src/launcher/socket-directory.js';
import { restoreSocket } from '../../src/shared/transport/zmq/restore-socket.js';
import { temporaryFolder } from '../support/lockstep.js';

describe.skipIf(process.getuid === undefined)('the folder of sockets', () => {
  const before = process.env['TMPDIR'];
  let folder = '';
  let temporary = '';
  beforeEach(async () => {
    folder = await temporaryFolder();
    temporary = join(folder, 'tmp');
    mkdirSync(temporary);
    chmodSync(temporary, 0o1777);
    process.env['TMPDIR'] = temporary;
  });
  afterEach(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });

  it('is private, and elsewhere if others could replace it or its path is too long', () => {
    const made = (): string => {
      const path = makeSocketDirectory() ?? '';
      expect(statSync(path).mode & 0o777).toBe(0o700);
      removeSocketDirectory(path);
      return path;
    };
    expect(made().startsWith(`${temporary}/lockstep-`)).toBe(true);
    // As a volume of a container often is.
    chmodSync(temporary, 0o777);
    expect(made()).toMatch(/^\/(tmp|dev\/shm)\/lockstep-/);
    chmodSync(temporary, 0o1777);
    process.env['TMPDIR'] = join(temporary, 'x'.repeat(100));
    mkdirSync(process.env['TMPDIR']);
    expect(made()).toMatch(/^\/(tmp|dev\/shm)\/lockstep-/);
  });

  it('in which processes meet is the same for all of them, in the runtime folder if there is one', () => {
    const uid = process.getuid?.() ?? 0;
    const inTemporary = `ipc://${temporary}/lockstep-${uid}/coordinator`;
    expect(privateEndpoint(undefined)).toBe(inTemporary);
    expect(privateEndpoint(undefined)).toBe(inTemporary);
    const runtime = join(folder, 'runtime');
    expect(privateEndpoint(runtime)).toBe(inTemporary);
    mkdirSync(runtime, { mode: 0o700 });
    expect(privateEndpoint(runtime)).toBe(`ipc://${runtime}/lockstep/coordinator`);
    expect(statSync(join(runtime, 'lockstep')).mode & 0o777).toBe(0o700);
    // A runtime folder of another user, as sudo may leave in the environment, is not used.
    chmodSync(runtime, 0o777);
    expect(privateEndpoint(runtime)).toBe(inTemporary);
  });

  it('in which processes meet is refused if it is open or a link', () => {
    const own = join(temporary, `lockstep-${process.getuid?.() ?? 0}`);
    mkdirSync(own);
    chmodSync(own, 0o755);
    expect(() => privateEndpoint(undefined)).toThrow(
      /expected a folder that only this user can enter.*mode 755/,
    );
    process.env['TMPDIR'] = join(folder, 'other');
    mkdirSync(process.env['TMPDIR']);
    symlinkSync(own, join(process.env['TMPDIR'], `lockstep-${process.getuid?.() ?? 0}`));
    expect(() => privateEndpoint(undefined)).toThrow(/is not a folder/);
  });

  it('is created again, private, if it was removed', () => {
    const path = makeSocketDirectory() ?? '';
    rmSync(path, { recursive: true });
    restoreSocketDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    restoreSocketDirectory(join(path, 'absent', 'folder'));
    restoreSocketDirectory(null);
  });

  it('gets the sockets again whose files were removed, and no other ones', async () => {
    const bound: string[] = [];
    const socket = {
      bind: (endpoint: string) => {
        bound.push(endpoint);
        return Promise.resolve();
      },
    };
    const path = join(folder, 'sockets', 'coordinator');
    // The last two have no file: a name of Linux's abstract namespace, and one that the system chooses.
    for (const endpoint of [`ipc://${path}`, 'tcp://127.0.0.1:1', 'ipc://@lockstep', 'ipc://*'])
      expect(await restoreSocket(socket, endpoint), endpoint).toBe(endpoint === `ipc://${path}`);
    expect(bound).toEqual([`ipc://${path}`]);
    expect(statSync(join(folder, 'sockets')).mode & 0o777).toBe(0o700);
    writeFileSync(path, '');
    expect(await restoreSocket(socket, `ipc://${path}`)).toBe(false);
  });
});
