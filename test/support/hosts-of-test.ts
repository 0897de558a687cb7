/** Hosts that end with the test that has started them. */
import { afterEach } from 'vitest';
import { startNetwork, type TestHost } from './test-hosts.js';

const started: TestHost[] = [];

afterEach(async () => {
  for (const host of started.splice(0)) await host.kill();
});

/** Starts `count` hosts on one network. The first one sees `folder`; each other one has an empty folder in its place. */
export async function startHosts(count: number, folder: string): Promise<TestHost[]> {
  const setups = Array.from({ length: count }, (_, i) => (i === 0 ? {} : { hidden: folder }));
  const hosts = await startNetwork(setups);
  started.push(...hosts);
  return hosts;
}
