// Flags that say by which key images are signed, and by whom bases have to be.
import type { FlagSpec } from '../flags.ts';
import { text, toggle } from './flag.ts';

/** For whatever pushes. */
export const keyFlags: readonly FlagSpec[] = [
  text('sign-by-sigstore-private-key', 'FILE', 'sign by this key of cosign or skopeo', {
    details: 'sign what is pushed by this key, as cosign and skopeo keep one; env://NAME is a variable that holds it',
  }),
  text('sign-passphrase-file', 'FILE', "the key's passphrase, its first line", {
    details: "the key's passphrase is the first line of this file (default: COSIGN_PASSWORD)",
  }),
];

/** Where one image is pushed. */
export const identityFlag: FlagSpec = text('sign-identity', 'IMAGE', 'what the signature calls the image (default: its name)');

const signaturePolicy = text('signature-policy', 'FILE', "this policy.json instead of this machine's");

/** Which policy.json says from where images may be taken. */
export const policyFlags: readonly FlagSpec[] = [toggle('insecure-policy', 'take images whatever policy.json says'), signaturePolicy];

/** The same with skopeo's word for it, which others have for something else. */
export const skopeoPolicyFlags: readonly FlagSpec[] = policyFlags.map((flag) =>
  flag === signaturePolicy ? { ...flag, aliases: ['policy'] } : flag,
);

export const registriesFolderFlag: FlagSpec = text('registries.d', 'FOLDER', "this folder instead of this machine's registries.d");

export const generateKeyFlags: readonly FlagSpec[] = [
  text('output-prefix', 'PREFIX', 'write PREFIX.private and PREFIX.pub', { short: 'o', isCommon: true }),
  text('passphrase-file', 'FILE', 'passphrase, its first line (or COSIGN_PASSWORD)', { isCommon: true }),
];
