<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1">
<context>
    <name>AnswerButtons</name>
    <message>
        <source>seen, but ambiguous: not trained on and not asked again</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>unusable, clouds say: never asked again</source>
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
        <source>Next batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Next batch, leaving {n} unanswered</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open a batch that owl-geo chose (batch.gpkg), or a run folder to go on with its newest batch. You can also drop a batch onto the map.</source>
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
        <source>All patches are answered and saved.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>rank or id</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Go to a patch by its rank or its id</source>
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
        <source>Comment on this patch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Auto-advance</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Go on to the next unanswered patch after an answer</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>How much of the surroundings the map shows</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Surroundings</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>False colours</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Show near infrared, red and green of the scene in place of its colours (F)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Why this patch</source>
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
</context><context>
    <name>Labelling</name>
    <message>
        <source>no patch {text} in this batch; type a rank or an id</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>others are labelling all that is left of this batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Take over</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batch can be written again; all answers are saved</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} does not answer; go on, your answers are kept and saved as soon as it does</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>another program has {path} locked; go on, your answers are kept and saved as soon as it lets go</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was replaced by another program; your answers are kept, open the new file to write them into it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open the new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was deleted or moved; put it back, or save the batch with your answers as a new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Save as a new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} takes no answers ({reason}); they are kept and tried again</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is now batch {new}; your answers to {old} were saved as a new file</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batch with your answers is in {path}; owl-geo ingest takes it</source>
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
</context><context>
    <name>OwlGeo</name>
    <message>
        <source>stopped; start it again to go on</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Create a run</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Cuts scenes into patches, computes the concepts and makes a run folder.

Scenes are raster layers, or one folder: a Sentinel-2 (.SAFE) or Landsat product, or single-band files. Bands go by number, description or common name, joined by commas: B2,B3,B4,B8. An OSM extract adds the ready concepts. The last class is the one that is searched for.</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Scenes</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>or a folder of one scene</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Bands (all if empty)</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Classes, the one searched for last</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Patch size in pixels</source>
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
        <source>Learns from the answers in a run and writes the next batch to label. Until the last batch has an answer, that batch is named again. Of a batch that is dealt out to a team the log names every part, and the output is the last.</source>
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
        <source>Checks the answers in a labelled batch and stores them in the run. The same file twice changes nothing.</source>
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
        <source>Maps the probability of every patch, by the model that the next batch would be chosen with: a cloud-optimised GeoTIFF per scene, one raster over all, and the most probable patches. Scenes that are finished are not done again until there are new answers. A scene that cannot be read is left out and named, or stops the rest.</source>
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
        <source>{path} has no layer batch that QGIS can read</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} has no column {name}: no batch of owl-geo, or changed since</source>
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
        <source>{path} is no GeoPackage</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is read-only, answers could not be saved; make the file and its folder writable, or copy the batch elsewhere</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was made by a newer owl-geo; upgrade the plugin</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} does not say its classes: no batch of owl-geo, or saved anew since</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>owl-geo ended with exit code {code}</source>
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
        <source>nothing for {name} now: the batch is for, or waits for, {others}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>owl-geo query named no batch</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>the batch does not lie in its run folder, so the scene {name} is not found; add it to the project yourself</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{text} is no batch in a database; it looks like postgresql://HOST/DB?layer=batch_...</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>leave the password out of the address; it comes from ~/.pgpass, PGPASSWORD, or QGIS asks for it</source>
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
        <source>{path} is no run folder; open the one in it: {runs}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} is no run folder: it has no owl.toml; make one with owl-geo init</source>
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
        <source>{path} is no program</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>there is no batch {layer} in {place}; known: {known}</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{place} cannot be read; is the address right, the server up, and may you label there? {reason}</source>
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
        <source>no opinion yet, it has seen no answers</source>
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
        <source>Address, as owl-geo query --to-store prints it:</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>{path} was saved by a program that keeps answers in a file {name}-wal, which is not beside it; if it was copied while open in QGIS, copy both files</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>predictions were switched off, so as not to lead you</source>
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
        <source>some answers are not saved yet; try again in a moment</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no patches were answered; this batch waits still</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no batch is published in {place} yet</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>no newer batch is published yet; whoever has the run folder makes it</source>
        <translation type="unfinished" />
    </message>
    <message>
        <source>Open run folder</source>
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
        <source>Leave the program empty to use the one that installed this plugin, or the owl-geo on PATH. The folder of a virtual environment will do as well.</source>
        <translation type="unfinished" />
    </message>
</context></TS>
