import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { get } from '../support/http-get.js';
import { Lockstep, temporaryFolder } from '../support/lockstep.js';

/** @param token empty for none */
async function dashboard(token: string): Promise<{ readonly url: string; readonly entrance: string }> {
  const env = { LOCKSTEP_DASHBOARD_TOKEN: token };
  const command = new Lockstep(['dashboard', await temporaryFolder(), '--listen', '127.0.0.1:0'], { env });
  const [, entrance = ''] = await eventually(
    'the address',
    () => /^Dashboard: (.*)$/m.exec(command.stdout) ?? false,
  );
  return { entrance, url: entrance.replace(/\?.*/, '') };
}

describe('the dashboard', () => {
  it('prints an address that works with any characters in the token', async () => {
    for (const token of ['a b&c#d', '100%25+1/2?=x', 'ä"\\<>']) {
      const { entrance } = await dashboard(token);
      expect((await get(entrance)).status, entrance).toBe(302);
      expect((await get(entrance.replace(/token=./, 'token=z'))).status).toBe(401);
    }
  });

  it('sets a cookie that is not the token, is named after the port, and does not open another dashboard', async () => {
    const [one, other] = [await dashboard('the token'), await dashboard('other token')];
    const [cookie = ''] = (await get(one.entrance)).headers['set-cookie'] ?? [];
    const [pair = ''] = cookie.split(';');
    expect(pair).toMatch(new RegExp(`^lockstep-${new URL(one.url).port}=[\\w-]{43}$`));
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    expect(cookie).not.toMatch(/token/);
    expect((await get(one.url, { cookie: pair })).status).toBe(200);
    expect((await get(one.url, { cookie: pair.replace(/=.*/, '=the token') })).status).toBe(401);
    expect((await get(one.url, { authorization: `Bearer ${pair.split('=')[1] ?? ''}` })).status).toBe(401);
    expect((await get(one.url, { authorization: 'Bearer the token' })).status).toBe(200);
    const renamed = pair.replace(/^[^=]*/, `lockstep-${new URL(other.url).port}`);
    expect((await get(other.url, { cookie: renamed })).status).toBe(401);
  });

  it('requires a token on loopback too if the user has set one', async () => {
    expect((await get((await dashboard('')).url)).status).toBe(200);
    expect((await get((await dashboard('own')).url)).status).toBe(401);
  });
});
