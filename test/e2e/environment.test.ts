import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeError, statusOf } from '../../src/cli/exit.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { noOtherUser, runAsOther } from '../support/other-user.js';
import { tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe('an environment without the usual folders and limits', () => {
  // A second user needs root and setpriv; `noOtherUser` has the reason.
  it.runIf(noOtherUser === undefined)('a user without an account and without HOME can train', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const out = join(folder, 'out');
    await mkdir(out);
    await chmod(folder, 0o755);
    await chmod(out, 0o777);
    const run = ['train', '--config', config, ...tinyOptions, '--out', join(out, 'run')];
    expect(runAsOther(process.execPath, [main, ...run])).toContain('"event":"done"');
  });

  it('TMPDIR that does not exist: a run uses another folder, and temporary keys are refused by its name', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const env = { TMPDIR: '/nonexistent' };
    const options = ['--config', config, '--engine', 'wasm', '--shards', '2', '--evaluate', 'none', '--json'];
    const run = await lockstep(['train', ...options, '--workers', '2', '--out', join(folder, 'run')], {
      env,
    });
    expect(run.status, run.stderr).toBe(0);
    const keys = ['--security', 'curve', '--out', join(folder, 'second')];
    const refused = await lockstep(['train', ...options, ...keys], { env });
    expect(refused.stderr).toMatch(
      /Error \(CONFIG\): TMPDIR: expected a folder .*got \/nonexistent \(ENOENT\)/,
    );
    expect(refused.status).toBe(2);
  });

  it('a limit of open files is named, with the ways to raise it', () => {
    const error = Object.assign(new Error("EMFILE: too many open files, open 'a'"), { code: 'EMFILE' });
    expect(describeError(error)).toMatch(/^Error \(CONFIG\): Open files: .*EMFILE.*ulimit -n/);
    expect(statusOf(error)).toBe(2);
  });
});
