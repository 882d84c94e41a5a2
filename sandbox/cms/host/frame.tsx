// One app location on the page: asks for an app-token, loads the app's page with it and speaks to that page while it is there.
// The app sits on another site, as in life; this page never reaches into it.
import { useEffect, useRef, useState } from 'react'
import { answersFor } from './answer.ts'
import type { Place } from './place.ts'
import { createUploads } from './uploads.ts'
import { openWire } from './wire.ts'

/** `height` in CSS pixels; 'fill' takes the room there is, a number is where the app's own resizing starts. */
export function LocationFrame({ place, height = 'fill' }: { place: Place; height?: number | 'fill' }) {
  const frame = useRef<HTMLIFrameElement>(null)
  // As it was when the frame came up: whoever shows another place gives the frame another key.
  const [here] = useState(place)
  const [source, setSource] = useState<string | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  const [size, setSize] = useState<{ height?: number; width?: number }>({})
  const { app, location } = here

  useEffect(() => {
    let gone = false
    const found = frame.current
    if (!found) return
    const origin = new URL(here.app.baseUrl).origin
    const stay = (event: Event) => event.preventDefault()
    const uploads = createUploads(here)
    const answers = answersFor(
      here,
      {
        resize: (height, width) => setSize({ ...(height > 0 ? { height } : {}), ...(width ? { width } : {}) }),
        keepOpen: state => {
          if (state) window.addEventListener('beforeunload', stay)
          else window.removeEventListener('beforeunload', stay)
        }
      },
      uploads,
      name => wire.send(name, {})
    )
    const wire = openWire(found, origin, answers.answer, uploads.hear)
    const tell = (event: { name: Parameters<typeof answers.wants>[0] }) => {
      if (answers.wants(event.name)) wire.send('extensionEvent', event)
    }
    const silence = [here.entry?.listen(tell), here.asset?.listen(tell)]
    addressOf(here)
      .then(address => {
        if (!gone) setSource(address)
      })
      .catch((error: unknown) => {
        if (!gone) setFailure(error instanceof Error ? error.message : String(error))
      })
    return () => {
      gone = true
      wire.close()
      for (const stop of silence) stop?.()
      window.removeEventListener('beforeunload', stay)
    }
  }, [here])

  return (
    <div className={height === 'fill' ? 'frame frame-fill' : 'frame'}>
      {failure === null ? null : (
        <p className="notice bad" role="alert">
          {app.name} could not be loaded: {failure}
        </p>
      )}
      <iframe
        ref={frame}
        title={`${app.name}: ${location.name}`}
        data-location={location.type}
        src={source ?? 'about:blank'}
        // The app is always of another site than this page, so its own origin gives it no way to this one.
        // oxlint-disable-next-line react/iframe-missing-sandbox
        sandbox="allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads allow-modals"
        allow="clipboard-read; clipboard-write; fullscreen"
        style={{ ...(height === 'fill' ? {} : { height: size.height ?? height }), ...(size.width ? { width: size.width } : {}) }}
      />
    </div>
  )
}

/** Signed locations get a fresh app-token in the query of the first load (platform reference §6). */
async function addressOf({ app, location, client }: Place): Promise<string> {
  const address = new URL(`${app.baseUrl.replace(/\/$/, '')}${location.path}`)
  if (location.signed) {
    const { token } = await client.own<{ token: string }>('POST', '/app-token', { installation_uid: app.installationUid })
    address.searchParams.set('app-token', token)
  }
  return address.href
}
