# A composer like that of Claude Code, for a fake agent: `perl composer.pl <dir> [<text in it> [<Enters it swallows>]]`.
# What is submitted is added to <dir>/messages, each with a NUL behind it; what it takes for a command begins with "! ".
use strict;
use warnings;
my ($dir, $text, $swallows) = @ARGV;
$text //= '';
$swallows //= 0;
my ($at, $mark, $pasted, $input) = (length $text, '❯', undef, '');
system 'stty raw -echo';
$| = 1;
print "\e[?2004h";
# In a low pane it shows the end, without its mark, unless that is of the shell.
sub paint {
    my @lines = split /\n/, $text, -1;
    @lines = ('') unless @lines;
    my $before = substr $text, 0, $at;
    my $line = $before =~ tr/\n//;
    my ($height) = split / /, `stty size`;
    my $rows = $height / 2 - 5 < 3 ? 3 : int($height / 2 - 5);
    my $hidden = $line < $rows ? 0 : $line + 1 - $rows;
    my $first = $hidden && $mark ne '!' ? ' ' : $mark;
    my $last = $hidden + $rows > @lines ? $#lines : $hidden + $rows - 1;
    my $more = $hidden ? " ↑ $hidden more " : '';
    my $row = 3 + $line - $hidden;
    print "\e[H\e[J", "fake\r\n", '─' x 20, "$more\r\n$first ", join("\r\n  ", @lines[$hidden .. $last]), "\r\n", '─' x 20, "\r\n  footer\e[$row;3H";
}
sub type_in {
    my ($typed) = @_;
    # As a paste into an empty composer, so as a key.
    if ($text eq '' && $mark eq '❯' && $typed =~ s/^!//) { $mark = '!' }
    substr($text, $at, 0) = $typed;
    $at += length $typed;
}
sub key {
    my ($key) = @_;
    my $line = rindex($text, "\n", $at - 1) + 1;
    $line = 0 if $at == 0;
    if ($key eq "\r") {
        if ($swallows > 0) { $swallows-- }
        elsif ($at > 0 && substr($text, $at - 1, 1) eq '\\') { substr($text, $at - 1, 1) = "\n" }
        elsif ($text ne '') {
            $text =~ s/[ \n]+$//;
            open my $file, '>>', "$dir/messages" or die;
            print $file $mark eq '!' ? "! $text\0" : "$text\0";
            close $file;
            ($text, $at, $mark) = ('', 0, '❯');
        }
    }
    elsif ($key eq "\x15") { substr($text, $line, $at - $line) = ''; $at = $line }
    elsif ($key eq "\x7f") {
        if ($at > 0) { substr($text, --$at, 1) = '' }
        elsif ($text eq '') { $mark = '❯' }
    }
    elsif ($key eq "\x01") { $at = $line }
    elsif ($key eq "\x05") { my $end = index $text, "\n", $at; $at = $end < 0 ? length $text : $end }
    elsif ($key eq "\e[3~") { substr($text, $at, 1) = '' if $at < length $text }
    else { type_in($key) }
}
paint;
while (sysread STDIN, my $read, 4096) {
    $input .= $read;
    while ($input ne '') {
        if (defined $pasted) {
            $input =~ s/^(.*?)\e\[201~//s or last;
            type_in($1);
            undef $pasted;
        }
        elsif ($input =~ s/^\e\[200~//) { $pasted = 1 }
        elsif ($input =~ s/^(\e\[3~|[^\e])//s) { key($1) }
        elsif ($input =~ /^\e(\[[0-9]*)?$/) { last }
        else { $input =~ s/^.//s }
    }
    paint;
}
