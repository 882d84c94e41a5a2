// An asset as the CMA returns it (contentstack.md §8.3), also where an entry's file field is read. Stored bytes are never part
// of it: the address serves them.
import type { Asset, Stack } from '../world/model.ts'

/** `origin` is the host that serves the bytes, without a trailing slash. */
export function assetShape(
  stack: Stack,
  asset: Asset,
  origin: string,
  more: { publishDetails?: boolean; dimension?: boolean } = {}
): Record<string, unknown> {
  const common = {
    uid: asset.uid,
    created_at: asset.createdAt,
    updated_at: asset.updatedAt,
    ...(asset.createdBy !== '' && { created_by: asset.createdBy }),
    ...(asset.updatedBy !== '' && { updated_by: asset.updatedBy }),
    content_type: asset.contentType,
    tags: asset.tags,
    ACL: {},
    is_dir: asset.isDir,
    parent_uid: asset.parentUid,
    _version: asset.version,
    ...(more.publishDetails && { publish_details: asset.publishDetails })
  }
  if (asset.isDir) return { ...common, name: asset.title }
  return {
    ...common,
    file_size: String(asset.fileSize),
    filename: asset.filename,
    url: `${origin}/v3/assets/${stack.apiKey}/${asset.uid}/${asset.uploadUid}/${encodeURIComponent(asset.filename)}`,
    title: asset.title,
    description: asset.description,
    ...(more.dimension && asset.dimension && { dimension: asset.dimension })
  }
}
