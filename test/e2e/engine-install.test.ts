import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { engineDirectory } from '../../src/worker/engine/cache.js';
import { exclusively } from '../../src/worker/engine/install/exclusive.js';
import { wheelHashes } from '../../src/worker/engine/install/wheel-hashes.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeTinyTraining } from '../support/tiny-training.js';
import { wheelOf } from '../support/wheel.js';

/** The only platform whose wheel the table names. */
const [wheel = ''] = Object.keys(wheelHashes).filter((name) => name.endsWith('x86_64.whl'));

function reasonToSkip(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs Linux on x64';
  try {
    execFileSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs python3 with pip';
  }
}

const skip = reasonToSkip();

describe.skipIf(skip)(`lockstep engine install${skip === undefined ? '' : ` (${skip})`}`, () => {
  it('runs no module of the working folder, and refuses a wheel of another hash', async () => {
    const folder = await temporaryFolder();
    const [cwd, index, cache] = ['cwd', 'index', 'cache'].map((name) => join(folder, name));
    const mark = join(folder, 'mark');
    for (const path of [cwd, index]) await mkdir(path!);
    await writeFile(join(cwd!, 'pip.py'), `open(${JSON.stringify(mark)}, 'w')`);
    const name = 'tensorflow_cpu-2.21.0';
    const files = {
      'tensorflow/libtensorflow_cc.so.2': Buffer.from('hostile'),
      [`${name}.dist-info/WHEEL`]: Buffer.from(
        'Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_27_x86_64\n',
      ),
    };
    const metadata = 'Metadata-Version: 2.1\nName: tensorflow-cpu\nVersion: 2.21.0\n';
    await writeFile(join(index!, wheel), wheelOf(files, { name, metadata }));
    const env = {
      XDG_CACHE_HOME: cache!,
      PIP_CONFIG_FILE: '/dev/null',
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: index!,
    };
    const { status, stderr } = await lockstep(['engine', 'install'], { cwd: cwd!, env });
    expect(existsSync(mark)).toBe(false);
    expect(stderr).toMatch(new RegExp(`expected SHA-256 ${wheelHashes[wheel]}, got [0-9a-f]{64}`));
    expect(status).toBe(2);
    const kept = await readdir(join(cache!, 'lockstep', 'engine'));
    expect(kept.filter((entry) => entry.startsWith('tfjs'))).toEqual([]);
    // The module would be run in the working folder.
    execFileSync('python3', ['-m', 'pip', '--version'], { cwd: cwd! });
    expect(readFileSync(mark, 'utf8')).toBe('');
  });

  it('downloads nothing whose hash is unknown, unless --unpinned is given', async () => {
    const folder = await temporaryFolder();
    const env = {
      XDG_CACHE_HOME: folder,
      PIP_CONFIG_FILE: '/dev/null',
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: folder,
    };
    const pinned = await lockstep(['engine', 'install', '--cuda'], { env });
    expect(pinned.stderr).toMatch(/expected its SHA-256 in the table of this release, got none.*--unpinned/);
    expect(pinned.stderr).not.toMatch(/downloading/);
    const unpinned = await lockstep(['engine', 'install', '--cuda', '--unpinned'], { env });
    expect(unpinned.stderr).toMatch(/^Engine: downloading tensorflow==2\.21\.0 with pip \(.*\) \.\.\.$/m);
    expect([pinned.status, unpinned.status]).toEqual([2, 2]);
  });
});

describe('a training while another process installs TensorFlow', () => {
  it('waits for it without an error, and prints one line that names the lock', async () => {
    const cache = await temporaryFolder();
    const config = await writeTinyTraining(cache);
    const out = join(cache, 'run');
    const env = { XDG_CACHE_HOME: cache };
    const directory = engineDirectory({ home: cache, cacheHome: cache }, 'cpu');
    const run = await exclusively(directory, async () => {
      const started = new Lockstep(
        [
          'train',
          '--config',
          config,
          '--workers',
          '2',
          '--shards',
          '2',
          '--engine',
          'auto',
          '--json',
          '--out',
          out,
          '--join-timeout-ms',
          '7000',
        ],
        { env },
      );
      await started.event('warning', ({ message }) => message.includes('TensorFlow'));
      // Longer than the deadline.
      await sleep(9_000);
      return started;
    });
    const { status, events } = await run.ended;
    expect(status).toBe(0);
    const texts = events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
    const waits = texts.filter((text) => text.includes('installed TensorFlow'));
    expect(waits).toEqual([expect.stringMatching(/^A worker \(pid \d+ on .*\) waits until .*\.lock\)/)]);
    expect(waits[0]).toContain(`${directory}.lock`);
  });
});
