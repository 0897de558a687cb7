import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ElasticRun } from '../support/elastic-run.js';
import { temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';
import { gpuTitle, slowGpu, softwareGpuEnvironment } from '../support/software-gpu.js';

/** Code for a definition: the first worker process of slot 1 loses its device once the file `signal` exists. */
const losing = (signal: string): string => `
import { existsSync, writeFileSync } from 'node:fs';
function losing(tf) {
  const isSecond = process.argv[process.argv.indexOf('--slot') + 1] === '1' && process.argv.includes('--slot');
  if (isSecond && !existsSync(${JSON.stringify(`${signal}.armed`)})) {
    writeFileSync(${JSON.stringify(`${signal}.armed`)}, '');
    setInterval(() => existsSync(${JSON.stringify(signal)}) && tf.backend().device.destroy(), 5).unref();
  }
  return tf;
}
`;

describe.skipIf(slowGpu !== undefined)(gpuTitle('a run on the engine webgpu', slowGpu), () => {
  beforeAll(() => {
    for (const [name, value] of Object.entries(softwareGpuEnvironment)) vi.stubEnv(name, value);
    vi.stubEnv('LOCKSTEP_ENGINE', 'webgpu');
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  it('has the undisturbed weights after one worker has lost its device, another was killed, and both were replaced', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const signal = join(folder, 'lose-the-device');
    const definition = (await readFile(config, 'utf8')).replace('tf.sequential(', 'losing(tf).sequential(');
    await writeFile(config, losing(signal) + definition);
    const run = new ElasticRun(config, join(folder, 'run'), await temporaryFolder(), ['--workers', '2']);
    const replaced = async (): Promise<void> => {
      await run.next(({ workers }) => workers.length === 1);
      await run.next(({ workers }) => workers.length === 2);
    };
    await run.at(3);
    await writeFile(signal, '');
    await replaced();
    expect(run.launcher.stdout).toMatch(/device was lost|expected a device that works/);
    const [pid] = run.kill('SIGKILL', 1);
    await replaced();
    expect([...run.members.values()]).not.toContain(pid);
    await run.expectUndisturbed();
  }, 600_000);
});
