// --registry-certificate and --registry-client-cert: PEM files, read and tried before anything is built, so that a mistake in one is told
// with its name and not as a failure to reach a registry.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { BuilderError, systemReason, systemCode } from '../errors.ts';

const certificateBlock = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g;

/** The certificates of a file. @throws ERR_USAGE that names it */
export function readAuthorities(path: string): string {
  const flag = '--registry-certificate';
  const text = read(path, flag);
  checkCertificates(text, path, flag);
  return text;
}

/** A client's certificate and its key, which belong together. @throws ERR_USAGE that names the file */
export function readClientCertificate(files: { readonly certificate: string; readonly key: string }): {
  readonly certificate: string;
  readonly key: string;
} {
  const flag = '--registry-client-cert';
  const certificate = read(files.certificate, flag);
  checkCertificates(certificate, files.certificate, flag);
  const key = read(files.key, flag);
  if (/ENCRYPTED/.test(key)) throw unusable(flag, files.key, 'the key is encrypted, and there is nobody to ask for its password');
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(key)) throw unusable(flag, files.key, 'it holds no key in PEM');
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    const isOther = systemCode(error) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH';
    throw unusable(flag, files.key, isOther ? `it is not the key of ${files.certificate}` : 'the key is damaged', error);
  }
  return { certificate, key };
}

function checkCertificates(text: string, path: string, flag: string): void {
  const blocks = text.match(certificateBlock) ?? [];
  if (blocks.length === 0) throw unusable(flag, path, 'it holds no certificate in PEM');
  const ends = blocks.map((block, index) => {
    try {
      return new X509Certificate(block).validToDate;
    } catch (error) {
      throw unusable(flag, path, `certificate ${index + 1} of ${blocks.length} in it is damaged`, error);
    }
  });
  // Bundles have old ones among those that are still good.
  const now = new Date();
  const last = new Date(Math.max(...ends.map(Number)));
  if (last < now) throw unusable(flag, path, `it expired at ${minuteOf(last)} (our clock says ${minuteOf(now)})`);
}

function minuteOf(date: Date): string {
  return `${date.toISOString().slice(0, 16)}Z`;
}

function read(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw unusable(flag, path, systemReason(error), error);
  }
}

function unusable(flag: string, path: string, why: string, cause?: unknown): BuilderError {
  return new BuilderError('ERR_USAGE', `Cannot use ${flag} ${path}: ${why}`, { cause });
}
