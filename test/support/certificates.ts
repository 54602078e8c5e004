// An authority of our own, with a server's certificate and a client's, as files.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Why none can be made; false where they can. */
export const missingOpenssl: string | false = existsSync('/usr/bin/openssl') ? false : '/usr/bin/openssl is not installed';

export interface KeyPair {
  readonly key: string;
  readonly certificate: string;
}

const ecKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A certificate for `names` (`DNS:registry.test,IP:127.0.0.1`) that nobody vouches for. */
export async function selfSigned(folder: string, name: string, names = 'DNS:registry.test'): Promise<KeyPair> {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`];
  await run('openssl', ['req', '-x509', ...ecKey, '-days', '2', '-keyout', key, '-out', certificate, ...subject]);
  return { key, certificate };
}

/** One for registry.test and 127.0.0.1 that `authority` vouches for, for two days from now or between two dates (`20260101000000Z`). */
export async function signedBy(authority: KeyPair, folder: string, name: string, [from, until]: readonly string[] = []): Promise<KeyPair> {
  const [key, request, certificate] = ['key', 'csr', 'crt'].map((end) => join(folder, `${name}.${end}`));
  if (key === undefined || request === undefined || certificate === undefined) throw new Error('no paths');
  const extensions = join(folder, `${name}.ext`);
  await writeFile(extensions, 'subjectAltName=DNS:registry.test,IP:127.0.0.1\n');
  await run('openssl', ['req', ...ecKey, '-keyout', key, '-out', request, '-subj', `/CN=${name}`]);
  if (from === undefined || until === undefined) {
    const by = ['-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial'];
    await run('openssl', ['x509', '-req', '-days', '2', '-in', request, '-out', certificate, '-extfile', extensions, ...by]);
    return { key, certificate };
  }
  // Only this command takes dates.
  const own = await mkdtemp(join(folder, 'ca-'));
  const settings = ['database=index', 'rand_serial=yes', 'new_certs_dir=.', 'default_md=sha256', 'policy=any'];
  await writeFile(join(own, 'config'), `[ca]\ndefault_ca=it\n[it]\n${settings.join('\n')}\n[any]\ncommonName=supplied\n`);
  await writeFile(join(own, 'index'), '');
  const by = ['-cert', resolve(authority.certificate), '-keyfile', resolve(authority.key), '-extfile', resolve(extensions)];
  const files = ['-in', resolve(request), '-out', resolve(certificate), '-notext'];
  await run('openssl', ['ca', '-batch', '-config', 'config', '-startdate', from, '-enddate', until, ...by, ...files], { cwd: own });
  return { key, certificate };
}
