// All that can go wrong between us and a registry, and the test that holds its outcome: one error line or the image, never a tag that moved
// for nothing. F are faults of registries, networks and their programs; B is bad input. A case without a test fails here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CaseList, testList } from '../../support/case-list.ts';

const down = 'unit/registry/broken-downloads';
const up = 'unit/registry/broken-uploads';
const images = 'unit/registry/hostile-images';
const tokens = 'unit/registry/hostile-token-servers';
const ways = 'integration/registry/broken-ways';
const names = 'integration/registry/name-servers';
const matrix = 'unit/registry/fault-matrix';
const faults = 'unit/registry/faults';
const answers = 'unit/registry/bad-answers';
const lost = 'unit/registry/lost-answers';
const places = 'unit/registry/places';
const several = 'unit/registry/several-places';
const stall = 'unit/registry/stall';
const config = 'unit/registry/docker-config';
const credentials = 'unit/registry/credentials';
const pem = 'unit/surroundings/pem-files';
const cache = 'integration/build/layer-cache';

const list: CaseList = {
  F01: [
    [
      'reset before the first byte, after it, in the middle, before the last',
      matrix,
      'comes after one or three tries more, and is given up after six',
    ],
    ['the error names the blob and the tries', down, 'a blob that always breaks off is named, with the number of tries'],
  ],
  F02: [
    ['an end in good order before its length', down, 'that ends in good order before its length'],
    ['chunks without an end', down, 'in chunks whose last one never comes'],
    ['streams of HTTP/2: it is not spoken', ways, 'a server that would rather speak HTTP/2 is spoken to in HTTP/1.1'],
    ['nothing but HTTP/2', ways, 'or only HTTP/2, is told as that'],
  ],
  F03: [
    ['too long', faults, 'a blob that is longer than its descriptor is stopped at once'],
    ['other bytes of the same length', faults, 'a blob with other bytes than its digest says never ends well'],
    ['one bit, once', 'e2e/bad-days', 'a blob that is corrupt once is fetched again'],
    ['one bit, for ever', 'e2e/bad-days', 'a blob that is corrupt for ever is never unpacked'],
  ],
  F04: [
    ['200 to a range', faults, 'a blob whose registry ignores ranges is read from the start'],
    ['another offset, or none', matrix, "name: 'begins elsewhere'"],
    ['416', matrix, "name: 'is that there are fewer bytes'"],
    ['another ETag, the same bytes', down, 'that goes on elsewhere with another ETag and the same bytes'],
    ['another ETag, other bytes', down, 'a blob whose rest is of another one by then'],
  ],
  F05: [
    ['no bytes', stall, 'a GET that stalls ${name} goes on from where it was'],
    ['a byte now and then', stall, 'a GET that drips is given up'],
    ['no headers', stall, 'a GET without any answer is given up in time'],
    ['connections without TLS', ways, 'a server that takes connections and never speaks TLS is given up in time'],
  ],
  F06: [
    ['2, 0, -1, 99999, dates and none; POST, PUT, GET', up, '429 with Retry-After'],
    ['for each request', matrix, "name: '429 with a wait'"],
    ['for a chunk', up, "fault: '429'"],
    ['which dates count', 'unit/registry/retry', 'parseRetryAfter('],
  ],
  F07: [
    ['once and three times, each request', matrix, '${name} bears any fault that passes'],
    ['a chunk', up, 'once or three times arrives'],
    ['for ever, each request', up, 'that is answered 499 or 5xx for ever is one error'],
  ],
  F08: [
    ['401 to each request', matrix, "name: 'a token that has expired'"],
    ['401 to a chunk', up, 'a token that runs out before a chunk is renewed'],
    ['every third request', matrix, 'a token that is good for three requests is renewed'],
    ['clocks an hour and a year off', tokens, 'a registry whose clock is ${what}'],
    ['our own clock so', ways, 'a builder whose own clock is an hour or a year off'],
  ],
  F09: [
    ['down, slow, 503', tokens, 'a token server that is down, slow or broken for a while'],
    ['HTML', answers, 'an HTML page where a token is wanted'],
    ['a helper that fails later', tokens, 'a helper that fails when the push begins'],
  ],
  F10: [['401 and 413 while a gigabyte is sent', up, 'that comes while a gigabyte is still being sent']],
  F11: [
    ['no Location', up, 'an upload without a Location'],
    ['another host, 8 KiB of state', up, 'an upload goes on at another host, with a state of 8 KiB'],
    ['sessions lost at a chunk and at the end', up, 'that is lost at a chunk'],
    ['416 with a Range and without', up, 'whose chunk is out of order without a Range'],
    ['Range 0-0, of the last chunk, none', up, "what: '0-0, one byte or none'"],
    ['the last chunk in an answer', up, 'an answer to a chunk that names the last chunk alone'],
  ],
  F12: [['stored, its answer lost', lost, 'a blob that arrived although its answer was lost']],
  F13: [
    ['the answer lost', lost, 'a manifest whose answer was lost is pushed'],
    ['500 although it is there', lost, 'a manifest that is stored although every answer says 500'],
  ],
  F14: [
    ['a blob that HEAD said was there', lost, "name: 'HEAD says that it is there'"],
    ['another blob that HEAD names', lost, 'a HEAD that answers with another blob'],
    ['another blob that was stored', lost, 'a blob that the registry says it stored as another'],
  ],
  F15: [
    ['403 and 409, immutable', up, 'stays what it is, and counts as success only by the flag'],
    ['404, 405, 413', lost, 'a manifest that is refused with ${status} is an error at once, with a hint'],
    ['in the words of providers', 'unit/registry/provider-refusals', 'an immutable tag of ${provider}'],
  ],
  F16: [
    ['201 that is a lie', lost, "name: 'mounting it is answered with 201'"],
    ['201 for another blob', lost, 'a mount that is answered with another blob'],
    ['202', faults, 'one that is answered 202 uses its session'],
    ['401, 403, 404, 500', answers, 'a mount that is answered ${status} becomes an upload at once'],
    ['no answer', up, 'a mount that hangs becomes an upload'],
  ],
  F17: [
    ['404, then there', up, 'a blob that HEAD misses although it is there'],
    ['405, 401, 403, 500', lost, 'a registry that answers every HEAD for a blob with ${status}'],
    ['no headers', up, 'a HEAD for a manifest without a word in its headers'],
    ['200 that is a lie', lost, "name: 'HEAD says that it is there'"],
  ],
  F18: [
    ['HTTP to HTTPS', 'unit/registry/base-url', 'HTTPS is taken where HTTP only leads to it'],
    ['HTTPS to HTTP', ways, 'a registry with TLS that sends us to an address without it is not followed'],
    ['a presigned address that ran out', down, 'a presigned address that has run out is asked for again at the registry'],
    ['a loop', faults, 'a redirect loop ends with its chain'],
    ['eleven', down, 'ten redirects are followed, and an eleventh is too many'],
    ['302 to a POST', up, 'stays a POST, or is refused'],
    ['metadata addresses', down, 'a blob is not fetched from ${to}'],
  ],
  F19: [['one of two destinations', several, 'keeps no other from getting the image, and the error lists both']],
  F20: [
    ['down', places, 'a mirror that refuses connections is left for the next place'],
    ['404', faults, 'what they lack comes from the registry itself'],
    ['slow; TLS', ways, 'a mirror whose certificate is wrong, and one that falls silent'],
    ['an older tag', ways, 'a mirror whose tag is older is believed'],
    ['another digest, 401', several, "name: 'has another manifest by that digest'"],
  ],
  F21: [
    ['no such name', names, 'a name that does not exist is told at once'],
    ['failure, silence', names, 'a name server that ${what} is asked again'],
    ['another address', names, 'a name that moves from an address where nobody listens'],
    ['IPv6 alone, IPv6 dead', names, 'a name with nothing but an IPv6 address'],
    ['search domains, resolv.conf rewritten', names, 'who rewrites resolv.conf afterwards changes nothing'],
  ],
  F22: [['during a pull, a RUN, a push; for ever', ways, 'a network that is away during a pull, a RUN or a push']],
  F23: [
    ['407', ways, 'wants a password of its own'],
    ['407, plain', ways, 'a plain proxy that wants a password is named'],
    ['502', ways, 'says 502 for ever'],
    ['dies in CONNECT', ways, 'dies while it opens the way, for ever'],
    ['closes what is idle', ways, 'a proxy that closes what is idle costs nothing'],
    ['slow', ways, 'says nothing for ever'],
    ['ranges in NO_PROXY', 'unit/registry/proxy', "['10.0.0.0/8', 'http://10.20.30.40/', true]"],
  ],
  F24: [
    ['exchanged', ways, 'a certificate that is exchanged during a push'],
    ['expired, not yet valid, another authority', ways, 'once the push has begun is told as that, and no tag moves'],
    ['a client certificate wanted', 'integration/registry/client-certificates', 'lets in who has a certificate of its authority'],
    ['TLS 1.0', ways, 'a server that speaks only TLS 1.0'],
    ['a clock that is off', 'unit/registry/notes', "a clock that differs from the first registry's by more than five minutes"],
  ],
  F25: [
    ['closed as we send', ways, 'a server that closes its connections just while requests are sent'],
    ['one stream: there are none', ways, 'a server that would rather speak HTTP/2 is spoken to in HTTP/1.1'],
    ['a thousand layers, one connection', ways, 'a thousand tiny layers, and a server that takes one connection at a time'],
  ],
  B34: [['cut off, BOM, UTF-16, trailing, key twice, deep, 8 MiB, NaN', images, 'a manifest, an index and a config ${what} are refused']],
  B35: [
    ['layers that are no list, no config', images, "['layers: null',"],
    ['an empty list', 'unit/oci/manifest', 'parseManifest() reads a manifest and tells its family'],
    ['diff_ids missing, too many, no digests', images, 'a config with ${what} is refused, with both counts'],
    ['history', images, 'a history of more layers than there are is a warning'],
  ],
  B36: [['-1, 1.5, 2^53+1, 1e400, text', images, "['-1', '1.5', '9007199254740993', '1e400'"]],
  B37: [
    ['short, upper case, a path, md5, blake3, line end', images, "`blake3:${'a'.repeat(64)}`"],
    ['sha512', images, 'a digest of sha512 is as good as one of sha256'],
  ],
  B38: [
    ['manifests and layers, types, version, chart, encrypted', images, 'layers that are encrypted'],
    ['an index that has both', images, "['manifests and layers',"],
    ['served as another', images, "['another type than it is served as',"],
    ['signed schema 1', images, 'the old signed manifest is refused with what to do'],
  ],
  B39: [
    ['in each other', images, 'an index that names itself, or fifty others'],
    ['100,000 entries, no platform, attestations, twice, wrong type', images, "['100,000 entries',"],
  ],
  B40: [['data that is something else', images, 'the data that a descriptor brings along is not looked at']],
  B41: [['file, ftp, metadata, 401', down, 'a layer that is said to be at ${url} is refused by its digest']],
  B57: [
    [
      'repository, tag, upper case, port, user, scheme',
      'unit/cli/requests/build-request',
      'is refused before anything is built, beside a good one',
    ],
    ['digest', 'unit/cli/requests/build-request', 'is refused: what is pushed has a digest of its own'],
    [
      'IPv6, 200 letters, twice',
      'unit/cli/requests/build-request',
      'a destination may be at an IPv6 address, have a long name, and come twice',
    ],
    ['twice', several, 'a name that comes twice is pushed'],
    ['several registries, the second refuses', several, "name: 'refuses uploads'"],
  ],
  B59: [
    ['empty, comma, key twice, list', config, 'parseDockerConfig() refuses ${name}'],
    ['BOM, null', config, 'parseDockerConfig() bears a byte order mark, and null for nothing'],
    ['no base64, no colon', config, 'parseDockerConfig() warns of what it ignores without showing it'],
    ['ten megabytes', credentials, 'a file of credentials of ten megabytes'],
    ['a helper that is missing', credentials, 'a helper that is nowhere is named'],
    ['exit 1, hanging, 100 MB, bad JSON', credentials, 'a helper ${name} is an error, not anonymous access'],
    ['<token>', credentials, 'a helper whose user is <token>'],
    ['a secret on stderr', credentials, 'what a helper that knows the answer writes to stderr is a warning, without the secret'],
  ],
  B60: [
    [
      'missing, folder, empty, DER, mismatch, encrypted, expired, CRL',
      pem,
      'certificates and keys that can not be used are told with their file',
    ],
  ],
  B61: [
    ['HTTP_PROXY', 'unit/cli/command-line', 'a proxy that is none is told before anything else'],
    ['TZ, HOME, PATH, LANG, NO_PROXY', 'unit/cli/command-line', 'a junk time zone, no HOME, no PATH and NO_PROXY=*'],
    ['SOURCE_DATE_EPOCH', 'unit/build/epoch', 'readEpoch() refuses ${JSON.stringify(value)}'],
    ['SOURCE_DATE_EPOCH', 'unit/cli/requests/build-request', 'SOURCE_DATE_EPOCH of the environment counts'],
  ],
  B62: [
    ['a page, nothing, a list, UTF-8, escapes', images, '${what} in place of a manifest is told as what it is'],
    ['ten gigabytes, escapes, texts for lists', images, 'an error of ten gigabytes is read no further than 64 KiB'],
  ],
  B63: [
    ['missing, unreadable, ftp, file, metadata, user', tokens, 'a 401 ${what} ends in one line, and no credential leaves'],
    ['relative, a hundred, twice, scopes', tokens, 'a 401 ${what} is understood'],
    ['a megabyte', tokens, 'a challenge of a megabyte is too many headers'],
  ],
  B64: [
    ['empty, none, line end, a megabyte', tokens, 'a token server whose answer is ${what} is told of in one line'],
    ['expires_in, issued_at', tokens, 'a token with ${what} is good for a push'],
  ],
  B65: [
    ['that are taken', 'unit/registry/location', 'locationOf() takes ${location}'],
    ['that are refused', 'unit/registry/location', 'locationOf() refuses'],
  ],
  B66: [
    ['config, platform, no image, future, no blob', cache, 'is a miss with one warning, and the image is right'],
    ['diff_id', cache, "name: 'is another archive than it says'"],
    ['diff_id of what is only mounted', cache, "name: 'whose config names another layer'"],
    ['cut off', cache, "name: 'cut off'"],
  ],
};

const wanted = (letter: string, from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${letter}${String(from + index).padStart(2, '0')}`);

test('every fault and every bad input on the way to a registry is in the list', () => {
  const ids = [...wanted('F', 1, 25), ...wanted('B', 34, 41), 'B57', ...wanted('B', 59, 66)];
  assert.deepEqual(Object.keys(list), ids);
});

testList(list);
