"""English sentences for findings: code -> (title, why it matters, what to do). Braces are filled in by `texts`."""

TEXTS: dict[str, tuple[str, str, str]] = {
    "unreadable": (
        "File cannot be read",
        "Training would stop at it.",
        "Export it again, or remove it from the set.",
    ),
    "silent": (
        "Nothing can be heard",
        "Silence teaches the model to be silent where there are words.",
        "Leave these clips out.",
    ),
    "too_short": (
        "Very short clips",
        "A fraction of a second holds no whole sound in its surroundings; most trainers skip or pad it.",
        "Leave them out, or cut again with a longer shortest clip.",
    ),
    "too_long": (
        "Very long clips",
        "Long clips take much memory; trainers cut a random piece out of them, and text then no longer fits.",
        "Cut them at a pause, or lower the longest clip in the preparation.",
    ),
    "mostly_silent": (
        "Mostly silence",
        "Training spends its time on pauses.",
        "Trim the clips, or leave them out.",
    ),
    "noisy": (
        "Noise beside the voice",
        "The model learns noise as part of the voice, and it can not be taken out of the model afterwards.",
        "Record in a quieter room, closer to the microphone; or clean the recording (denoise) and prepare it again.",
    ),
    "clipped": (
        "Peaks cut off",
        "A recording that was too loud crackles, and so will everything that the voice says.",
        "Record again with the level turned down by 6 to 10 dB. Cut-off peaks cannot be brought back.",
    ),
    "hot_peaks": (
        "Peaks above full scale",
        "Between the samples the sound rises above full scale and distorts on playback and in MP3.",
        "Bring the loudness down to -20 LUFS with a ceiling of -1 dBTP (the preparation does).",
    ),
    "too_soft": (
        "Very soft clips",
        "Soft clips weigh little in training, and their noise comes up with the level.",
        "Set the loudness in the preparation, or record closer to the microphone.",
    ),
    "too_loud": (
        "Very loud clips",
        "Sound this dense was squeezed by a limiter and has lost its dynamics.",
        "Use the recording from before it was mastered, or set the loudness in the preparation.",
    ),
    "narrow_band": (
        "High frequencies missing",
        "Sound from a telephone or an old file stays dull however high its sample rate is now.",
        "Find the recording in its first quality. Do not mix a few dull clips into a bright set.",
    ),
    "reverberant": (
        "Echo of a room",
        "The model learns the room as part of the voice, and the result sounds far away in every other place.",
        "Record in a room with soft surfaces, close to the microphone; or clean the recording (dereverb). Held notes "
        "that fade can look like echo: listen first.",
    ),
    "little_speech": (
        "Little speech in the clip",
        "Music, noise or breath is learnt as if it were the words.",
        "Trim the clips or leave them out.",
    ),
    "little_voice": (
        "Little voiced sound",
        "Whispering, breath or noise has no pitch to learn from.",
        "Listen to them; keep whispers only if you want the voice to whisper.",
    ),
    "no_text": (
        "No text",
        "Speech synthesis learns from sound together with its words.",
        "Transcribe the clips, or cut them by subtitles.",
    ),
    "text_pace": (
        "Text does not fit the length",
        "Far more or fewer letters than can be said in the time: a cue is cut short, or the text is another clip's.",
        "Listen, then correct the text or the cut.",
    ),
    "text_differs": (
        "Recogniser heard something else",
        "Wrong words teach wrong sounds, and a few of them spoil many.",
        "Listen, then correct the text. Names and foreign words are often the recogniser's error.",
    ),
    "duplicate": (
        "The same take twice",
        "It counts double, and the check with held-back clips no longer shows whether the model learnt by heart.",
        "Keep the better one.",
    ),
    "other_speaker": (
        "Does not sound like the rest",
        "Another person, another microphone or music in one voice makes it unsteady.",
        "Listen: leave out other people; keep it if it is the same voice in another mood.",
    ),
    "other_language": (
        "Spoken in another language",
        "A few clips of another language teach sounds at the wrong places, and their texts are read by wrong rules.",
        "Listen: leave them out, or say the language of the texts in the settings of the check. Short clips and names "
        "mislead a recogniser.",
    ),
    "none_accepted": (
        "No clip is accepted",
        "Training takes accepted clips only, so there is nothing to train on.",
        "Look at the findings below, clean or record again, or accept good clips by hand.",
    ),
    "little_material": (
        "Little material",
        "A voice learnt from little sounds right in what it heard and strays elsewhere.",
        "Add recordings; varied sentences or songs help more than many takes of one.",
    ),
    "narrow_range": (
        "Narrow pitch range ({low} to {high})",
        "Outside the notes that it has heard, the voice breaks or turns dull.",
        "Add recordings higher and lower, for singing all the notes that songs will ask for.",
    ),
    "range_gaps": (
        "Notes missing inside the range: {notes}",
        "The model must guess these notes from their neighbours.",
        "Sing a slow scale or glide through them.",
    ),
    "one_source": (
        "Most comes from one recording: {source}",
        "Its microphone, room and mood become the voice's.",
        "Add other recordings, or take less of this one.",
    ),
    "many_short": (
        "Many clips under 3 s",
        "Short clips lack the run of a sentence; speech from them sounds choppy.",
        "Cut with a longer shortest clip, or merge neighbouring cues.",
    ),
    "uneven_loudness": (
        "Uneven loudness",
        "The model hears level as a property of the voice.",
        "Prepare with loudness per clip at one target.",
    ),
    "dull_set": (
        "Dull set",
        "The voice will carry nothing above what it was shown.",
        "Look for recordings of better quality, without strong compression.",
    ),
    "missing_sounds": (
        "Sounds of the language that no text holds: {sounds}",
        "The model never hears how this voice makes them.",
        "Add sentences with these sounds.",
    ),
    "set_without_text": (
        "No clip has text",
        "Speech synthesis cannot be trained; voice conversion can.",
        "Transcribe the recordings, or cut them by subtitles.",
    ),
}

WORDS: dict[str, str] = {
    "limit": "limit",
    "to": "to",
    "title": "Quality report",
    "summary": "Summary",
    "findings": "Findings",
    "nothing": "Nothing to remark on.",
    "clips": "clips",
    "clip": "Clip",
    "minutes": "minutes",
    "accepted": "accepted",
    "review": "to review",
    "rejected": "rejected",
    "remark": "remark",
    "reject": "reject",
    "range": "Notes",
    "texts": "Texts",
    "sources": "Recordings",
    "lengths": "Length of the clips, s",
    "pitch": "Voiced seconds by note",
    "loudness": "Loudness, LUFS",
    "snr": "Signal to noise, dB",
    "why": "Why",
    "do": "What to do",
    "verdict": "Verdict",
    "length": "Length, s",
    "median": "Pitch, Hz",
    "reasons": "Findings",
    "thresholds": "Thresholds",
    "flagged": "Clips with findings",
    "more": "and {n} more, in {file}",
    "by_user": "by hand",
    "not_measured": "Not measured",
    "different": "different",
    "characters": "Characters",
    "sounds": "Sounds",
    "made": "Made",
}
