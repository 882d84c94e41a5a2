// The management tokens of one stack, seen through an admin's OAuth grant: count, mint, delete. Only the answer to a creation carries
// the secret, ever (reference §1.1). Keeps nothing; custody decides what becomes of it.
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { createCma, type RateNews, type RequestKind, type RequestLane } from './cma.ts'
import { isMissingObject } from './refusal.ts'
import type { Region } from './regions.ts'

export interface TokenScope {
  module: string
  acl: { read?: boolean; write?: boolean }
  branches?: string[]
}

export interface ListedToken {
  uid: string
  name: string
  description?: string
  scope?: TokenScope[]
  expires_on?: string | null
}

export interface NewToken {
  name: string
  description: string
  branches: string[]
  /** Dies at midnight UTC of this date, YYYY-MM-DD; null = never. */
  expiresOn: string | null
}

export interface TokenAdmin {
  listTokens(): Promise<ListedToken[]>
  /** Not repeated when its outcome is unknown: look for the name. */
  createToken(token: NewToken): Promise<{ token: ListedToken; secret: string }>
  /** False when it was gone already. */
  deleteToken(uid: string): Promise<boolean>
}

export interface TokenAdminOptions {
  region: Region
  apiKey: string
  organizationUid: string
  userAccessToken: string
  acquire(kind: RequestKind, lane: RequestLane, signal?: AbortSignal): Promise<void>
  learn(kind: RequestKind, news: RateNews): void
  fetch?: typeof fetch
  signal?: AbortSignal
  log: Log
}

const path = '/stacks/management_tokens'

/** All calls throw AppError unauthorized | forbidden when the person may not (Owner and Admin only), upstream otherwise. */
export function createTokenAdmin(options: TokenAdminOptions): TokenAdmin {
  const { organizationUid, userAccessToken, signal, ...rest } = options
  const cma = createCma({
    ...rest,
    headers: { organization_uid: organizationUid },
    credential: () => Promise.resolve({ header: 'authorization', value: `Bearer ${userAccessToken}` })
  })
  const common = { lane: 'people' as const, ...(signal && { signal }) }
  return {
    async listTokens() {
      const found: ListedToken[] = []
      for (;;) {
        const query = { limit: 100, skip: found.length }
        const { tokens = [] } = await cma.request<{ tokens?: ListedToken[] }>({ method: 'GET', path, query, ...common })
        const fresh = tokens.filter(token => !found.some(({ uid }) => uid === token.uid))
        found.push(...fresh)
        // Whether this list pages at all is not documented: stop as well when nothing new comes.
        if (tokens.length < 100 || fresh.length === 0) return found
      }
    },
    async createToken({ name, description, branches, expiresOn }) {
      const scope: TokenScope[] = [
        { module: 'content_type', acl: { read: true, write: true } },
        ...(branches.length > 0 ? [{ module: 'branch', branches, acl: { read: true } }] : [])
      ]
      const token = {
        name,
        description,
        scope,
        is_email_notification_enabled: expiresOn !== null,
        // Whether a token without any word on its end is taken is not established: exactly one is given (reference §1.2).
        ...(expiresOn === null ? { is_never_expires: true } : { expires_on: expiresOn })
      }
      const answer = await cma.request<{ token?: ListedToken & { token?: unknown } }>({ method: 'POST', path, json: { token }, ...common })
      const { token: secret, ...created } = answer.token ?? { uid: '', name: '', token: undefined }
      if (typeof secret !== 'string' || secret === '' || created.uid === '') {
        throw new AppError('upstream', 'Contentstack created a management token but did not return it')
      }
      return { token: created, secret }
    },
    async deleteToken(uid) {
      if (uid === '') throw new AppError('internal', 'A management token without uid cannot be deleted')
      try {
        await cma.request({ method: 'DELETE', path: `${path}/${encodeURIComponent(uid)}`, ...common })
        return true
      } catch (error) {
        if (isMissingObject(error)) return false
        throw error
      }
    }
  }
}
