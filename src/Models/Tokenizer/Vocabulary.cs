namespace Qanat.Models;

/// <summary>What an entry of the vocabulary is; the ids are those of tokenizer.ggml.token_type.</summary>
public enum TokenKind
{
    /// <summary>Bytes of text.</summary>
    Normal = 1,

    /// <summary>A mark that steers the model and is no text, such as &lt;|im_end|&gt;.</summary>
    Control = 3,

    /// <summary>A mark that is also text, such as &lt;think&gt; or &lt;tool_call&gt;.</summary>
    UserDefined = 4,

    /// <summary>Fills the vocabulary up to the size of the embedding.</summary>
    Unused = 5,
}

/// <summary>A token that is not made by merging: it is cut out of the text before anything else, or never.</summary>
public sealed record AddedToken(int Id, string Text, TokenKind Kind);

/// <summary>The parts of a byte-level BPE tokenizer, as a file gives them.</summary>
/// <param name="Entries">By id, UTF-8, written in the byte alphabet; control and user-defined tokens as plain text.</param>
/// <param name="Kinds">By id.</param>
/// <param name="Merges">By rank, UTF-8: left and right entry, separated by a space.</param>
internal sealed record TokenizerParts(PreTokenizer PreTokenizer, ByteStrings Entries, TokenKind[] Kinds, ByteStrings Merges, int[] StopTokens);
