import { afterEach, describe, expect, it } from 'vitest';
import { readFaultRecord } from '../../src/shared/faults/fault-request.js';
import { asRank } from '../../src/shared/sharding/identifiers.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import {
  openWorkerTransports,
  type WorkerTransports,
} from '../../src/worker/communicator/worker-transports.js';
import { FaultyControlClient, FaultyDataPlane } from '../../src/worker/faults/faulty-transport.js';
import { temporaryFolder } from '../support/lockstep.js';

describe('the transports of a worker', () => {
  const opened: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((transport) => transport.close()));
  });

  async function open(
    linkFaults: boolean,
  ): Promise<{ folder: string; transports: WorkerTransports; data: object }> {
    const folder = await temporaryFolder();
    const coordinator = `ipc://${folder}/coordinator`;
    const transports = openWorkerTransports({ coordinator, keys: null, linkFaults });
    const data = await transports.openDataPlane({
      socketDirectory: folder,
      maxFrameBytes: 1_024,
      heartbeatMs: 250,
    });
    opened.push(transports.control, data);
    return { folder, transports, data };
  }

  it('are the sockets themselves, without a wrapper, unless link faults are requested', async () => {
    const { transports, data } = await open(false);
    expect(transports.control.constructor.name).toBe('ZmqControlClient');
    expect(data.constructor.name).toBe('ZmqDataPlane');
    expect(transports.injectLinkFault).toBeUndefined();
  });

  it('are wrapped when link faults are requested, and record the first message that is hit', async () => {
    const { folder, transports, data } = await open(true);
    expect(transports.control).toBeInstanceOf(FaultyControlClient);
    expect(data).toBeInstanceOf(FaultyDataPlane);
    const fault = { kind: 'drop', ms: 0, folder, id: 'x', point: 'reduce', step: 3, rank: 0 } as const;
    // No peer is connected: the request has no effect and no record.
    transports.injectLinkFault?.({ ...fault, link: asRank(1) });
    transports.injectLinkFault?.({ ...fault, link: 'coordinator' });
    expect(readFaultRecord(folder, 'x')).toBeUndefined();
    transports.control.send(Buffer.from('lost'));
    expect(readFaultRecord(folder, 'x')).toMatchObject({ point: 'reduce', step: 3, pid: process.pid });
  });

  it('can only be made faulty by the launcher: the configuration has no field for faults', () => {
    expect(Object.keys(runConfigSchema.shape).filter((field) => /fault|inject|flip/i.test(field))).toEqual(
      [],
    );
  });
});
