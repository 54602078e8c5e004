// What is built where builders are compared: each shows another cost of theirs.

export interface BuildCase {
  readonly name: string;
  /** Of the Dockerfile, where `@base` is a small base and `@debian` is Debian. */
  readonly lines: readonly string[];
  /** Shell, run in the empty folder that becomes the context. */
  readonly context?: string;
  /** At most this much disk is taken by one build, all stores together. */
  readonly gigabytes: number;
  /** What our wall clock should be to buildah's. */
  readonly aim?: number;
}

/** `count` RUNs that each write a small file. */
export const smallRuns = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `RUN echo ${index} > /r${index}`);

/** A RUN that makes `folders` of a hundred small files each. */
export const makeFiles = (folders: number): string =>
  `RUN for d in $(seq 1 ${folders}); do mkdir -p /srv/t/$d; cd /srv/t/$d; for f in $(seq 1 100); do echo $d.$f > $f; done; done`;

export const buildCases: readonly BuildCase[] = [
  { name: 'tiny', lines: ['FROM @base', 'COPY app /app', 'CMD ["/app"]'], context: 'echo app > app', gigabytes: 0.1, aim: 1.2 },
  { name: 'runs5', lines: ['FROM @debian', ...smallRuns(5)], gigabytes: 0.6, aim: 0.44 },
  {
    name: 'copyonly',
    lines: ['FROM @debian', 'WORKDIR /app', 'COPY tree /app/', 'ENV A=1', 'CMD ["/app/1/1"]'],
    context: 'for d in $(seq 1 40); do mkdir -p tree/$d; for f in $(seq 1 50); do head -c 4096 /dev/urandom > tree/$d/$f; done; done',
    gigabytes: 0.6,
    aim: 0.26,
  },
  { name: 'manyfiles', lines: ['FROM @debian', makeFiles(500), ...smallRuns(8)], gigabytes: 1.2, aim: 0.39 },
  {
    name: 'multistage',
    lines: [
      'FROM @debian AS a',
      'RUN mkdir -p /out && for d in $(seq 1 100); do mkdir /out/$d; for f in $(seq 1 100); do echo $d$f > /out/$d/$f; done; done',
      'FROM @debian AS b',
      'RUN cp -r /usr/share /share',
      'FROM @debian',
      'COPY --from=a /out /out',
      'COPY --from=b /share /share',
      'RUN ls /out | wc -l > /n',
    ],
    gigabytes: 1.2,
    aim: 0.42,
  },
  {
    name: 'bigcopy',
    lines: ['FROM @debian', 'COPY big /opt/big'],
    context: 'head -c 256M /dev/urandom > big; cat /usr/lib/x86_64-linux-gnu/*.so* /usr/bin/* 2>/dev/null | head -c 512M >> big',
    gigabytes: 4.5,
    aim: 0.16,
  },
];

/** The cases that are built from a registry far away too. */
export const farCases: ReadonlySet<string> = new Set(['tiny', 'runs5']);
