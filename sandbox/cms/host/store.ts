// `sdk.store`: a small map per installation in the browser's localStorage, as on the platform (platform reference §10.3).

interface StoreRequest {
  action?: string
  key?: string
  value?: unknown
}

export function answerStore(installationUid: string, request: StoreRequest): unknown {
  const place = `app-store/${installationUid}`
  const map = JSON.parse(localStorage.getItem(place) ?? '{}') as Record<string, unknown>
  const key = request.key ?? ''
  switch (request.action) {
    case 'get':
      return Object.hasOwn(map, key) ? map[key] : undefined
    case 'getAll':
      return map
    case 'set':
      localStorage.setItem(place, JSON.stringify({ ...map, [key]: request.value }))
      return true
    case 'remove':
      delete map[key]
      localStorage.setItem(place, JSON.stringify(map))
      return true
    case 'clear':
      localStorage.removeItem(place)
      return true
    case undefined:
    default:
      throw new Error(`the store knows no action "${request.action}"`)
  }
}
