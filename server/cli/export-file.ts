// The file of an export as the command reads it: line by line, never whole, checked from its first line to its counts before any of it
// is sent. What is wrong is named with its line. The server judges every line again (http/contract/export.ts).
import { createReadStream } from 'node:fs'
import type { z } from 'zod/mini'
import { AppError } from '../errors.ts'
import { ExportEnd, ExportHead, ExportLine, type ImportBatch } from '../http/contract/export.ts'

export interface CheckedFile {
  path: string
  head: ExportHead
  counts: Omit<ExportEnd, 'kind'>
}

/** What the operator door takes at once is 64 kB, the head included. */
const batchBytes = 60_000
const linesPerBatch = 1_000
/** Half a batch; a longer line is no line of ours, and must not fill the memory. */
const longestLine = 30_000

/** The whole file is read; nothing is kept of it but its ends. AppError invalid naming the line. */
export async function checkFile(path: string): Promise<CheckedFile> {
  const counts = { connections: 0, syncs: 0, links: 0 }
  const connections = new Set<string>()
  const syncs = new Set<string>()
  let head: ExportHead | undefined
  let end: ExportEnd | undefined
  for await (const { number, text } of linesOf(path)) {
    const refuse = (why: string, remedy?: string): AppError => wrong(path, number, why, remedy)
    const value = jsonOf(text, refuse)
    if (head === undefined) head = headOf(value, refuse)
    else if (end !== undefined) throw refuse('something follows the counts')
    else if (isEnd(value)) end = shaped(ExportEnd, value, refuse)
    else {
      const line = shaped(ExportLine, value, refuse)
      if (line.kind === 'connection') {
        if (connections.has(line.id)) throw refuse(`${line.id} stands there twice`)
        if (counts.syncs + counts.links > 0) throw refuse('connections come before syncs and links')
        connections.add(line.id)
        counts.connections++
      } else if (line.kind === 'link') {
        if (!syncs.has(line.syncId)) throw refuse(`its sync ${line.syncId} is not in the lines before`)
        counts.links++
      } else {
        if (syncs.has(line.id)) throw refuse(`${line.id} stands there twice`)
        if (counts.links > 0) throw refuse('syncs come before links')
        if (!connections.has(line.connectionId)) throw refuse(`its connection ${line.connectionId} is not in the lines before`)
        syncs.add(line.id)
        counts.syncs++
      }
    }
  }
  if (head === undefined) throw wrong(path, 1, 'the file is empty')
  if (end === undefined)
    throw new AppError('invalid', `${path} is not complete: the line with the counts is missing.`, { remedy: 'Export again, to the end.' })
  const { kind: _kind, ...counted } = end
  if (counted.connections !== counts.connections || counted.syncs !== counts.syncs || counted.links !== counts.links)
    throw new AppError('invalid', `${path} is not complete: it holds ${wordsOf(counts)} and was written with ${wordsOf(counted)}.`, {
      remedy: 'Export again.'
    })
  return { path, head, counts }
}

/** In the order of the file, each small enough to be sent. */
export async function* batchesOf({ path, head }: CheckedFile): AsyncGenerator<ImportBatch> {
  const own = Buffer.byteLength(JSON.stringify({ head, lines: [] }))
  let lines: ExportLine[] = []
  let bytes = own
  for await (const { number, text } of linesOf(path)) {
    const refuse = (why: string): AppError => wrong(path, number, why)
    const value = number === 1 ? null : jsonOf(text, refuse)
    if (value === null || isEnd(value)) continue
    const size = Buffer.byteLength(JSON.stringify(value)) + 1
    if (lines.length === linesPerBatch || (lines.length > 0 && bytes + size > batchBytes)) {
      yield { head, lines }
      lines = []
      bytes = own
    }
    lines.push(shaped(ExportLine, value, refuse))
    bytes += size
  }
  if (lines.length > 0) yield { head, lines }
}

export function wordsOf({ connections, syncs, links }: Omit<ExportEnd, 'kind'>): string {
  return `${connections} connections, ${syncs} syncs and ${links} links`
}

type Refuse = (why: string, remedy?: string) => AppError

async function* linesOf(path: string): AsyncGenerator<{ number: number; text: string }> {
  let number = 0
  let rest: Buffer = Buffer.alloc(0)
  const line = (bytes: Buffer): { number: number; text: string } => {
    number++
    if (bytes.length > longestLine) throw wrong(path, number, `it is longer than ${longestLine} bytes`)
    return { number, text: bytes.toString('utf8') }
  }
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
        yield line(bytes.subarray(0, end))
        bytes = bytes.subarray(end + 1)
      }
      if (bytes.length > longestLine) line(bytes)
      rest = bytes
    }
  } catch (cause) {
    if (cause instanceof AppError || !(cause instanceof Error && 'syscall' in cause)) throw cause
    throw new AppError('invalid', `${path} cannot be read.`, { cause, remedy: 'Name a file that you may read.' })
  }
  if (rest.length > 0) yield line(rest)
}

function headOf(value: unknown, refuse: Refuse): ExportHead {
  const { format, version } = Object(value) as Partial<Record<string, unknown>>
  if (format !== 'quayside-export')
    throw refuse('this is no export of Quayside', 'Name the file that `quayside installations export` wrote.')
  if (version !== 1)
    throw refuse(
      `this Quayside reads version 1 of the format, not ${JSON.stringify(version)}`,
      'Import it with the Quayside that wrote it, or a newer one.'
    )
  return shaped(ExportHead, value, refuse)
}

function isEnd(value: unknown): boolean {
  return (Object(value) as { kind?: unknown }).kind === 'end'
}

function shaped<T extends z.ZodMiniType>(shape: T, value: unknown, refuse: Refuse): z.infer<T> {
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  throw refuse(parsed.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '))
}

function jsonOf(text: string, refuse: Refuse): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('it is not JSON')
  }
}

function wrong(path: string, number: number, why: string, remedy = 'Check that the file is the one that was exported.'): AppError {
  return new AppError('invalid', `Line ${number} of ${path}: ${why}.`, { remedy })
}
