import { describe, expect, it } from 'vitest';
import { Access, isLoopback, parseAddress } from '../../src/dashboard/access.js';
import { ConfigError } from '../../src/shared/errors.js';

describe("the dashboard's address", () => {
  it('is on loopback unless a host is named', () => {
    expect(parseAddress(true)).toEqual({ host: '127.0.0.1', port: 29_480, anyPort: true });
    expect(parseAddress('8080')).toEqual({ host: '127.0.0.1', port: 8080, anyPort: false });
    expect(parseAddress('0.0.0.0:80')).toMatchObject({ host: '0.0.0.0', port: 80 });
    expect(parseAddress('[::1]:80')).toMatchObject({ host: '::1', port: 80 });
    for (const wrong of ['', 'host', 'a:b', '1:2:3', ':80', '99999', 'http://x:80', 'x y:80'])
      expect(() => parseAddress(wrong), wrong).toThrow(ConfigError);
  });

  it('is recognized as loopback or not', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost'])
      expect(isLoopback(host), host).toBe(true);
    for (const host of ['0.0.0.0', '::', '128.0.0.1', '127.0.0.1.evil.example', 'box'])
      expect(isLoopback(host), host).toBe(false);
  });
});

describe('access', () => {
  const anyone = { bearer: undefined, cookie: undefined };
  const withBearer = (bearer: string) => ({ bearer, cookie: undefined });

  it('requires no token to read on loopback, under a loopback name only', () => {
    const access = new Access('127.0.0.1', null);
    expect(access.isPrivate).toBe(false);
    expect(access.mayRead(anyone)).toBe(true);
    for (const host of ['127.0.0.1:80', 'localhost:80', '[::1]:80', 'localhost'])
      expect(access.knows(host), host).toBe(true);
    for (const host of ['evil.example', 'evil.example:80', '', undefined])
      expect(access.knows(host), host).toBe(false);
  });

  it('requires the right token on other addresses', () => {
    const access = new Access('0.0.0.0', null);
    expect(access.token).toMatch(/^[\w-]{24}$/);
    expect(new Access('0.0.0.0', null).token).not.toBe(access.token);
    expect(access.mayRead(withBearer(access.token))).toBe(true);
    expect(access.mayRead(anyone)).toBe(false);
    for (const wrong of ['', 'x', `${access.token}x`]) expect(access.mayRead(withBearer(wrong))).toBe(false);
    expect(new Access('box', 'own').mayRead(withBearer('own'))).toBe(true);
    // One that was given is asked for everywhere.
    expect(new Access('127.0.0.1', 'own').mayRead(anyone)).toBe(false);
  });

  it('requires the token to control a run, also on loopback', () => {
    for (const access of [
      new Access('127.0.0.1', null),
      new Access('127.0.0.1', 'own'),
      new Access('box', null),
    ]) {
      expect(access.mayControl(anyone)).toBe(false);
      expect(access.mayControl(withBearer('x'))).toBe(false);
      expect(access.mayControl(withBearer(access.token))).toBe(true);
      const { value } = access.cookie('localhost:80');
      expect(access.mayControl({ bearer: undefined, cookie: value })).toBe(true);
      expect(access.mayControl({ bearer: undefined, cookie: access.token })).toBe(false);
    }
  });
});
