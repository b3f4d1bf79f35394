"""What several browser tests ask the page's players."""

PLAYS = """async (selector) => {
  const audio = document.querySelector(selector);
  if (!(audio.duration > 0))
    await new Promise((ok, no) => { audio.onloadedmetadata = ok; audio.onerror = () => no(audio.error.message); });
  await audio.play();
  await new Promise((ok) => { audio.ontimeupdate = () => audio.currentTime > 0.05 && ok(); });
  audio.pause();
  return audio.duration;
}"""
"""Play a little of a player that a selector finds; its length in seconds."""
