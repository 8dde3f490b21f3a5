<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1">
<context>
    <name>AnswerButtons</name>
    <message>
        <source>seen, but ambiguous: not used for training, and not shown again</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>unusable, for example under cloud: not shown again</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{says} (key {key})</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>LabelDock</name>
    <message>
        <source>owl-geo labelling</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Patch {place} of {n}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open a batch written by owl-geo (batch.gpkg), or a run folder to continue with its newest batch. You can also drop a batch onto the map.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open batch…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open run folder…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>rank or id</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Go to a patch by rank or id</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Previous patch (Left)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next patch (Right)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Unanswered ▶</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next unanswered patch (Ctrl+Right)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Undo the last answer (Ctrl+Z)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Redo (Ctrl+Shift+Z)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Auto-advance</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>After an answer, go to the next unanswered patch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Why this patch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Patch of an older batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Noticed beside the batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Comment on this patch (C)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>QT_LAYOUT_DIRECTION</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Labelling</name>
    <message>
        <source>the next batch opened while you answered; what you pressed then answers none of its patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>this batch has no patch {text}; type a rank or an id</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>patches that you answered while this batch was made: {n}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>others are labelling everything that is left in this batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Take over</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Batch {batch}, round {round}, for {name}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Batch {batch}, round {round}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>every other patch of the batch is answered</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>patches without an answer: {n}; the button for the next batch leaves them</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Incoming</name>
    <message>
        <source>Take over</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{who} answered {patch} before you: {label}; both answers are kept</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{patch} was answered in another window: {label}; yours is not stored</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>somebody</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>a comment</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Replace with {label}</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Troubles</name>
    <message>
        <source>the batch with your answers was saved as {path}; owl-geo ingest accepts it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} does not respond, or no longer lets you in; carry on, your answers are kept and will be saved as soon as it does</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>another program has locked {path}; carry on, your answers are kept and will be saved once the lock is gone</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was replaced by another program; your answers are kept, open the new file to save them there</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was deleted or moved; put it back, or save the batch with your answers as a new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} now holds batch {new}; your answers to {old} were saved as a new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batch can be written again; all answers are saved</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open the new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Save as a new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>answers cannot be saved in {path} ({reason}); carry on, they are kept and tried again; tell whoever looks after the database</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>answers cannot be saved in {path} ({reason}); carry on, they are kept; see that there is room on the disk and that the file may be written</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Others</name>
    <message>
        <source>Others are answering this batch too: {names}.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>somebody</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>This batch is also open in another window, on {computer}. No answer is replaced before you have seen it.</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Whereabouts</name>
    <message>
        <source>Clicks on the map go to: {tool}.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>QGIS</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Keys go to: {panel}.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>another tool</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{key} brings them back.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Plugins &gt; owl-geo &gt; Label with clicks and keys</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>OwlGeo</name>
    <message>
        <source>stopped; start it again to continue</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Create a run</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Scenes</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>or a folder with one scene</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Bands (all if empty)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Classes, with the one you are searching for last</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Patch size in pixels (chosen if empty)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Patches of the first batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Patches per round</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>OSM extract</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>New run folder</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Run folder</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no scene was given</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Ingest answers</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Labelled batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Answers</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Predict</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Maps the probability of every patch with the model that would choose the next batch: a cloud-optimised GeoTIFF per scene, one raster over all scenes, and the most probable patches. Finished scenes are not processed again until there are new answers. A scene that cannot be read is left out and named, or stops the command.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Most probable patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Leave out scenes that cannot be read</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Add the maps to the project</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Probability</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no scene could be read</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} has no layer named batch that QGIS can read</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} has no column {name}: it is not a batch of owl-geo, or it was changed later</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} has no patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>batch {name}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} does not exist</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} cannot be read: {reason}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is not a GeoPackage</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is read-only, so answers could not be saved; make the file and its folder writable, or copy the batch elsewhere</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was made by a newer owl-geo; upgrade the plugin</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} does not list its classes: it is not a batch of owl-geo, or another program saved it again</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>owl-geo was not found; choose it in Settings</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{program} cannot be started: {reason}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Storing the answers</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Learning and choosing the next patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>nothing to label for {name}: the batch is for {others}, or waits for their answers</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batch is not in its run folder, so the scene {name} cannot be found; add it to the project yourself</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{text} is not the address of a batch in a database; such an address looks like postgresql://HOST/DB?layer=batch_...</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>leave the password out of the address; it is read from ~/.pgpass or PGPASSWORD, or QGIS asks for it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is missing; make it with owl-geo predict</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{run}: probability</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{run}: most probable patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} cannot be opened</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} cannot be written: {reason}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>not all of it is there; is the disk full?</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is not a run folder; open the one inside it: {runs}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is not a run folder: it has no owl.toml; make one with owl-geo init</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the scene {name} is not at {path}; add it to the project yourself</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is a folder without owl-geo</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is not a program</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>there is no batch {layer} in {place}; available: {names}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{place} cannot be read; check that the address is right, the server is running and you may label there. {reason}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Rank</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{rank} of {n}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no opinion yet; it has seen no answers</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{share} likely to be {positive}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>The model</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Uncertainty</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Relevance</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>not known</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>yes</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the views of {path} cannot be read; was the file changed?</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the view {name} is not at {path}; put it there, or into the batch's folder</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{problem} ({n} more of its rasters missing)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Views</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>in a shared batch, only its own patches can be answered</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>this batch does not say what other patches there are; the next one will</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no scene of the run is there</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no whole patch of the run is there</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>that place cannot be answered: it has too few pixels, is outside the area of the run, is shown by another scene, or tests the model</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the grid in {path} cannot be read; was the file changed?</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>a place that you noticed; the batch does not ask it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>of batch {name}; a new answer replaces the one there</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Beside the batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no false colours: the scene is not on the map</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no false colours: the near infrared of {scene} lies on another grid than its red and green</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>nothing says which bands of {scene} are {names}: its first three are shown; {remedy}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no false colours: nothing says which band of {scene} is {names}; {remedy}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>red</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>green</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>blue</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>near infrared</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>write it into owl.toml, under [source], such as common = { nir = 4 }, and run owl-geo init RUN --update</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the scenes of {path} cannot be read; was the file changed?</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Learning and looking for targets</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Learning and looking for similar patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Cuts scenes into patches, computes the concepts and makes a run folder.

Scenes are raster layers, or one folder: a Sentinel-2 (.SAFE) or Landsat product, or single-band files. Name bands by number, description or common name, separated by commas: B2,B3,B4,B8. An OSM extract adds ready-made concepts. The last class is the one you are searching for. If you know some targets, give their points, lines or polygons as examples: the first batch is then mostly what is like them.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Examples: targets that you know</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{layer} is not a vector layer</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no folder can be reached to save answers in</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no batch has been published in {place} yet</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Batches (*.gpkg)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open shared batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Address, as printed by owl-geo query --to-store:</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open run folder</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{program} was killed, perhaps for lack of memory; start it again to continue</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>exit code {code}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{program} failed: {line}; run owl-geo doctor, or choose another program in Settings</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{program} {command} returned no batch; is it owl-geo? Choose another in Settings</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{name} is missing</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{layer} is not a raster that GDAL opens; choose another, or leave it out</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Learns from the answers in a run and writes the next batch to label. If no answer to the last batch was taken in yet (Ingest answers), it is returned again. If a batch is divided among a team, the log lists every part, and the output is the last one.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Checks the answers in a labelled batch and stores them in the run. Ingesting the same file twice changes nothing. In a model, give the run folder that this returns to Next batch, which then waits for the answers.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{program} {command} did not do what owl-geo does; choose another program in Settings</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>OwlGeoPlugin</name>
    <message>
        <source>Labelling panel</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open batch…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open run folder…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open shared batch…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show predictions</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Settings…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was saved by a program that keeps answers in a second file, {name}-wal, which is missing; if the batch was copied while open in QGIS, copy both files</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>predictions were hidden, so that they do not influence you</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Make the next batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} has no batch yet</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Make the first batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batches in {path} are for {names}; enter your name in the settings, or open one of the files</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Label with clicks and keys</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Review what the model finds</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the layer {name} has edits that are not saved, so the panel does not show them; save or discard them, or they replace later answers</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>ProgressPanel</name>
    <message>
        <source>{n} of {total} answered</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{rate} answers per hour, {time} left</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>, {n} noticed</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>SettingsDialog</name>
    <message>
        <source>owl-geo settings</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>not found</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>owl-geo program</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Annotator</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Leave the program empty to use the owl-geo that installed this plugin, or the one on PATH. You can also choose the folder of a virtual environment.</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Lingering</name>
    <message>
        <source>{path} is locked by another program; answers that wait until it is free: {n}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} can be written again; all answers are saved</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Gallery</name>
    <message>
        <source>no image</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>ReviewDock</name>
    <message>
        <source>owl-geo review</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Accept (A)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Answer {name}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Reject (X)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{threshold} or more: {n} of {total} patches, {hectares} ha</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{accepted} accepted, {rejected} rejected, {left} open above the threshold</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>The probability from which a patch counts (comma lower, full stop higher); owl-geo predict takes it as --threshold</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Threshold</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Undo the last answer (Ctrl+Z)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>This batch has no other class</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>LinkedMap</name>
    <message>
        <source>What this map shows</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>A further map</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Take this map away</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>LinkedDock</name>
    <message>
        <source>owl-geo linked maps</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>LinkedMaps</name>
    <message>
        <source>no scene is loaded</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{view} is not here</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>scene</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{view}: no image here</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>SharedStore</name>
    <message>
        <source>{patch} was deleted from {path}; your answer to it may not be stored: {label}</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>FileStore</name>
    <message>
        <source>{patch} was deleted from {path}; your answer to it is not stored: {label}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>a comment</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batch with your answers was saved as {path}; owl-geo ingest accepts it</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>PredictionsMenu</name>
    <message>
        <source>Review what the model finds</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Rounds</name>
    <message>
        <source>Leave it and review</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Leave it for more like this</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the newest batch has no answers yet; its patches return to the pool</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>some answers are not saved yet; try again in a moment</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no newer batch has been published yet; whoever has the run folder makes it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no patch was answered, so there is no new batch yet</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Settings…</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the layer {name} has edits that are not saved; save or discard them</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the next batch is ready; Return opens it</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Sight</name>
    <message>
        <source>scene</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{view}: no image here</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>Footer</name>
    <message>
        <source>Next batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next batch, leaving {n} unanswered</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>All patches are answered and saved.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Stop</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Store the answers in the run and choose the next patches</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next batch, without {n}</source>
        <translation type="unfinished" />
    </message>
</context><context>
    <name>MapPanel</name>
    <message>
        <source>Surroundings</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>False colours</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show the scene in near infrared, red and green instead of natural colours (F)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show the next view in place of the scene (V); hold V to glance at it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next view</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Shown</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>How much of the surroundings the map shows: {n} pixels across (+ and -)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show the scene brighter (B) or darker (D) than the batch says</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Brightness</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Hide frames</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show the imagery alone, for as long as this or the key H is held</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Overview</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show the whole batch, and once more the patch again (O)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Predictions</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show the maps that owl-geo predict made, or hide them (P)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Review</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>More like this</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Make the next batch of the patches most like this one (M)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Accept or reject what the model finds, the most probable first (R)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Linked maps</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show views or layers of the project side by side with the map (L)</source>
        <translation type="unfinished" />
    </message>
</context>
<context>
    <name>PatchModel</name>
    <message>
        <source>{label} ({who})</source>
        <translation type="unfinished" />
    </message>
</context></TS>
