// A few small pictures, drawn here byte by byte so that the repository carries no binary: four SVGs, two PNGs, one folder.
import { crc32, deflateSync } from 'node:zlib'
import type { Asset } from './model.ts'
import { uidFor } from './uids.ts'

export const pictures = {
  harbour: uidFor('asset/harbour'),
  lighthouse: uidFor('asset/lighthouse'),
  anchor: uidFor('asset/anchor'),
  wave: uidFor('asset/wave'),
  portrait: uidFor('asset/portrait'),
  pixel: uidFor('asset/pixel')
}
const folder = uidFor('asset/pictures')

export function builtInAssets(at: string, by: string): Asset[] {
  const drawn: [keyof typeof pictures, string, string][] = [
    ['harbour', 'Harbour', '<rect width="160" height="90" fill="#bfe3f5"/><rect y="60" width="160" height="30" fill="#2b6f95"/>'],
    ['lighthouse', 'Lighthouse', '<rect width="160" height="90" fill="#fdf3d8"/><path d="M72 80 76 20h8l4 60z" fill="#c8442f"/>'],
    [
      'anchor',
      'Anchor',
      '<circle cx="80" cy="20" r="8" fill="none" stroke="#333" stroke-width="4"/><path d="M80 28v44m-24-16q24 32 48 0" fill="none" stroke="#333" stroke-width="5"/>'
    ],
    ['wave', 'Wave', '<path d="M0 60q20-30 40 0t40 0 40 0 40 0v30H0z" fill="#2b6f95"/>']
  ]
  const made = drawn.map(([name, title, shapes]) => {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="160" height="90" viewBox="0 0 160 90"><title>${title}</title>${shapes}</svg>`
    return asset(pictures[name], title, `${name}.svg`, 'image/svg+xml', Buffer.from(svg), at, by, { width: 160, height: 90 })
  })
  return [
    ...made,
    asset(pictures.portrait, 'Portrait', 'portrait.png', 'image/png', png(8, 8, [106, 90, 150]), at, by, { width: 8, height: 8 }),
    asset(pictures.pixel, 'Pixel', 'pixel.png', 'image/png', png(1, 1, [255, 136, 0]), at, by, { width: 1, height: 1 }),
    {
      ...asset(folder, 'Pictures', 'Pictures', 'application/vnd.contenstack.folder', Buffer.alloc(0), at, by),
      isDir: true,
      parentUid: null
    }
  ]
}

function asset(
  uid: string,
  title: string,
  filename: string,
  contentType: string,
  bytes: Buffer,
  at: string,
  by: string,
  dimension?: { width: number; height: number }
): Asset {
  return {
    uid,
    title,
    description: '',
    filename,
    contentType,
    fileSize: bytes.length,
    isDir: false,
    parentUid: folder,
    uploadUid: uidFor(`upload/${uid}`),
    tags: [],
    version: 1,
    createdAt: at,
    updatedAt: at,
    createdBy: by,
    updatedBy: by,
    publishDetails: [],
    ...(dimension && { dimension }),
    content: { base64: bytes.toString('base64') }
  }
}

/** An 8-bit RGB picture of one colour. */
function png(width: number, height: number, colour: [number, number, number]): Buffer {
  const row = Buffer.from([0, ...Array.from({ length: width }, () => colour).flat()])
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const rows = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)))
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  body.copy(framed, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}
